use evercore::event;

#[event(derive = all)]
struct Moved {}

fn main() {}
