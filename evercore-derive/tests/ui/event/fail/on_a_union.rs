use evercore::event;

#[event]
union Moved {
    left: u8,
    right: u8,
}

fn main() {}
