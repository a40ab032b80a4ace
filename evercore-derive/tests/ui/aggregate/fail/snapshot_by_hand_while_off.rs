use evercore::{Aggregate, Apply, event};

#[derive(Default, Aggregate)]
#[aggregate(events(Opened), snapshot = off)]
struct Account {}

#[event]
struct Opened {}

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

fn save<A: evercore::SnapshotAggregate>() {}

fn main() {
    save::<Account>();
}
