use evercore::event;

#[event]
struct Moved<T> {
    to: T,
}

fn main() {}
