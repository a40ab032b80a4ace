use evercore::state_event;

#[state_event]
struct UserCreated {
    name: String,
}

fn main() {}
