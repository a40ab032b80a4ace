use evercore::{Aggregate, Apply, event};

#[derive(Aggregate, Default)]
#[aggregate(events(Opened), snapshot = off, snapshot_codec = json)]
struct Door {}

#[event]
struct Opened;

impl Apply<Opened> for Door {
    fn apply(&mut self, _: &Opened) {}
}

fn main() {}
