use evercore::{Aggregate, Apply, event, registry};

#[event]
struct Opened;

#[derive(Default, Aggregate)]
#[aggregate(events(Opened), snapshot = off)]
struct Account;

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

#[derive(Default, Aggregate)]
#[aggregate(events(Opened), snapshot = off)]
struct Order;

impl Apply<Opened> for Order {
    fn apply(&mut self, _event: &Opened) {}
}

registry!(Domain { Account Order });

fn _events(_event: DomainEvent) -> Domain {
    Domain
}

fn main() {}
