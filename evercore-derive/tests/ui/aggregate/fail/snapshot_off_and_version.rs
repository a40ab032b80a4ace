use evercore::{Aggregate, Apply, event};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Opened), snapshot = off, snapshot_version = 2)]
struct Account {}

#[event]
struct Opened {}

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

fn main() {}
