use evercore::event;

#[event(name = "moved\u{0}")]
struct Moved {}

fn main() {}
