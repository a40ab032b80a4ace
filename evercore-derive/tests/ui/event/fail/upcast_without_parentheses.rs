use evercore::event;

#[event(name = "UserCreated")]
struct UserCreatedV1 {
    name: String,
}

#[event(name = "UserCreated.v2", upcasts = UserCreatedV1)]
struct UserCreated {
    name: String,
}

impl From<UserCreatedV1> for UserCreated {
    fn from(old: UserCreatedV1) -> Self {
        Self { name: old.name }
    }
}

fn main() {}
