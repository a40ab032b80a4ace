use evercore::event;

#[event(name = "")]
struct Moved {}

fn main() {}
