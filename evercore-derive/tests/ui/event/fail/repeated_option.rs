use evercore::event;

#[event(name = "moved", name = "went")]
struct Moved {}

fn main() {}
