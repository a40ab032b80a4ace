use evercore::event;

#[event(crate = "evercore", crate = "evercore")]
struct Moved {}

fn main() {}
