use evercore::event;

#[event(codec = "msgpack")]
struct Opened;

fn main() {}
