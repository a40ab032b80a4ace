use evercore::event;

#[event(name = "UserCreated.v2", upcasts("UserCreated"))]
struct UserCreated {
    name: String,
}

fn main() {}
