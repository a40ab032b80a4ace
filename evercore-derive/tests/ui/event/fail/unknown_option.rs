use evercore::event;

#[event(version = 2)]
struct Moved {}

fn main() {}
