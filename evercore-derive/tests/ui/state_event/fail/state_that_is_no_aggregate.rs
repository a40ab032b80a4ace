use evercore::state_event;

struct Profile {
    name: String,
}

#[state_event(Profile)]
struct ProfileCreated {
    name: String,
}

fn main() {}
