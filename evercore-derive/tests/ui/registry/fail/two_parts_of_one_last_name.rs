use evercore::{Aggregate, Apply, event, registry};

#[event]
struct Opened;

#[derive(Default, Aggregate)]
#[aggregate(events(Opened), snapshot = off)]
struct Account;

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

mod archive {
    pub struct Account;
}

registry!(Domain { Account, archive::Account });

fn main() {}
