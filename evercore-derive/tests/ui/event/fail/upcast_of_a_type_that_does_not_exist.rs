use evercore::event;

#[event(name = "UserCreated.v2", upcasts(UserCreatedV1))]
struct UserCreated {
    name: String,
}

fn main() {}
