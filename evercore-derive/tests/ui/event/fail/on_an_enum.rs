use evercore::event;

#[event]
enum Moved {
    Left,
    Right,
}

fn main() {}
