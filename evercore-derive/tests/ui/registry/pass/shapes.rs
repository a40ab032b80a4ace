//! Registries of aggregates and of registries.

#![deny(warnings, missing_docs, unreachable_pub, missing_debug_implementations, clippy::all, clippy::pedantic)]

use evercore::{Aggregate, Apply, Registry, event, registry};

/// Happens to several aggregates.
#[event]
pub struct Opened;

/// An aggregate.
#[derive(Debug, Default, Aggregate)]
#[aggregate(events(Opened), snapshot = off)]
pub struct Account;

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

/// Aggregates of another module.
pub mod billing {
    use super::{Aggregate, Apply, Opened, registry};

    /// An aggregate.
    #[derive(Debug, Default, Aggregate)]
    #[aggregate(events(Opened), snapshot = off)]
    pub struct Order;

    impl Apply<Opened> for Order {
        fn apply(&mut self, _event: &Opened) {}
    }

    registry!(pub Billing { Order });
}

registry! {
    /// All of it.
    pub Domain {
        Account,
        billing::Billing,
    }
}

registry!(crate = ::evercore; pub(crate) Internal { billing::Order });

mod private {
    evercore::registry!(Hidden { super::Account });

    pub(super) fn count() -> usize {
        <Hidden as evercore::Registry>::TYPES.aggregates().len()
    }
}

fn main() {
    let names: Vec<_> = Domain::TYPES.aggregates().iter().map(|aggregate| aggregate.name).collect();
    assert_eq!(names, ["Account", "Order"]);
    let event = DomainEvent::Billing(billing::BillingEvent::Order(Opened.into()));
    assert_eq!(format!("{event:?}"), "Billing(Order(Opened(Opened)))");
    assert_eq!((Internal::TYPES.aggregates().len(), private::count()), (1, 1));
}
