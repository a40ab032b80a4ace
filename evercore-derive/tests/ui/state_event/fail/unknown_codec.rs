use evercore::{Aggregate, state_event};

#[derive(Aggregate, Default)]
#[aggregate(events(Opened), snapshot = off)]
struct Door {
    open: bool,
}

#[state_event(Door, codec = cbor)]
struct Opened {
    open: bool,
}

fn main() {}
