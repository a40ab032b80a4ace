use evercore::event;

#[event]
struct Moved<'a> {
    to: &'a str,
}

fn main() {}
