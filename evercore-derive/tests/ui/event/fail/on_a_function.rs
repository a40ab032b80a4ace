use evercore::event;

#[event]
fn moved() {}

fn main() {}
