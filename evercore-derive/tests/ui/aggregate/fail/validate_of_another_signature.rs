use evercore::{Aggregate, Apply, event};
use serde::{Deserialize, Serialize};

#[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Opened), validate = check)]
struct Account {}

fn check(_account: Account) -> bool {
    true
}

#[event]
struct Opened {}

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

fn main() {}
