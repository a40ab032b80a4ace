use evercore::{event, state_event};

#[event]
#[state_event(Robot)]
struct Moved {}

fn main() {}
