use evercore::state_event;

#[state_event(name = "user-created")]
struct UserCreated {
    name: String,
}

fn main() {}
