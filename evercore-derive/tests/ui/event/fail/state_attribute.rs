use evercore::event;

#[event]
struct Moved {
    #[state(skip)]
    to: String,
}

fn main() {}
