use evercore::state_event;

#[state_event(Nobody)]
struct UserCreated {
    name: String,
}

fn main() {}
