use evercore::event;

#[derive(Debug)]
#[event]
struct Moved {}

fn main() {}
