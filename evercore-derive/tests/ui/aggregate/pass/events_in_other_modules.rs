//! Events and states may stand anywhere, under any path.

use evercore::{Aggregate, Apply};

mod events {
    pub mod created {
        #[evercore::event]
        pub struct Created;
    }

    #[evercore::state_event(super::domain::User)]
    pub struct Renamed {
        pub name: String,
    }
}

mod domain {
    use super::events;
    use super::events::created::Created as Made;

    #[derive(Default, evercore::Aggregate)]
    #[aggregate(events(Made, events::Renamed, crate::Removed), snapshot = off)]
    pub struct User {
        pub name: String,
    }
}

#[evercore::event]
pub struct Removed;

impl Apply<events::created::Created> for domain::User {
    fn apply(&mut self, _event: &events::created::Created) {}
}

impl Apply<Removed> for domain::User {
    fn apply(&mut self, _event: &Removed) {
        self.name.clear();
    }
}

evercore::registry!(Domain { domain::User });

fn main() {
    let names: Vec<_> = domain::User::EVENTS.iter().map(|event| event.name).collect();
    assert_eq!(names, ["Created", "Renamed", "Removed"]);
    let _ = domain::UserEvent::Made(events::created::Created);
    let _ = |event: DomainEvent| {
        let DomainEvent::User(event) = event;
        matches!(event, domain::UserEvent::Renamed(_))
    };
}
