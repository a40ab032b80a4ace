use evercore::event;

#[event(name = "UserCreated")]
struct UserCreatedV1 {
    name: String,
}

#[event(name = "UserCreated.v2", upcasts(UserCreatedV1 with created))]
struct UserCreated {
    name: String,
}

fn created(old: UserCreatedV1) -> UserCreated {
    UserCreated { name: old.name }
}

fn main() {}
