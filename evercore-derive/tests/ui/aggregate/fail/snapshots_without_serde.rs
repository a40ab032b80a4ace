use evercore::{Aggregate, Apply, event};

#[derive(Default, Aggregate)]
#[aggregate(events(Opened))]
struct Account {}

#[event]
struct Opened {}

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

fn main() {}
