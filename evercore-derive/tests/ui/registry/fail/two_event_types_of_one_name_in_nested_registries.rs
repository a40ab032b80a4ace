use evercore::{Aggregate, Apply, event, registry};

#[event]
struct Opened;

#[event(name = "Opened")]
struct Closed;

#[derive(Default, Aggregate)]
#[aggregate(events(Opened), snapshot = off)]
struct Account;

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

#[derive(Default, Aggregate)]
#[aggregate(events(Closed), snapshot = off)]
struct Order;

impl Apply<Closed> for Order {
    fn apply(&mut self, _event: &Closed) {}
}

registry!(Banking { Account });
registry!(Billing { Order });
registry!(Domain { Banking, Billing });

fn main() {}
