use evercore::{Aggregate, Apply, event};
use serde::Serialize;

#[derive(Default, Serialize, Aggregate)]
#[aggregate(events(Opened), snapshot_every = 10)]
struct Account {}

#[event]
struct Opened {}

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

fn main() {}
