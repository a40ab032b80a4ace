use evercore::event;

#[event(upcasts(UserCreated))]
struct UserCreated {
    name: String,
}

fn main() {}
