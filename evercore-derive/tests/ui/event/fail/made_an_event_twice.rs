#[evercore::event]
#[evercore::state_event(Robot)]
struct Moved {}

fn main() {}
