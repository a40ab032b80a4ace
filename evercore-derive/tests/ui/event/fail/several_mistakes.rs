use evercore::event;

#[event(name = "", version = 2, derive = some)]
enum Moved {}

fn main() {}
