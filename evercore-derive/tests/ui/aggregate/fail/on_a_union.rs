use evercore::{Aggregate, Apply, event};

#[derive(Aggregate)]
#[aggregate(events(Opened))]
union Account {
    number: u64,
}

#[event]
struct Opened {}

impl Apply<Opened> for Account {
    fn apply(&mut self, _event: &Opened) {}
}

impl Default for Account {
    fn default() -> Self {
        Self { number: 0 }
    }
}

fn main() {}
