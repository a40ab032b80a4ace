use evercore::event;

#[event(alias = "went", alias = "went")]
struct Moved {}

fn main() {}
