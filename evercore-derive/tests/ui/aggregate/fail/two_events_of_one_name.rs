use evercore::{Aggregate, Apply, event};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Opened, Closed))]
struct Account {}

#[event(name = "opened")]
struct Opened {}

#[event(name = "opened")]
struct Closed {}

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

impl Apply<Closed> for Account {
    fn apply(&mut self, _event: &Closed) {}
}

fn main() {}
