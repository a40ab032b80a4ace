use evercore::event;

#[event(name = "UserCreated")]
struct UserCreatedV1 {
    name: String,
}

#[event(name = "UserCreated")]
struct UserCreatedV0 {
    name: String,
}

#[event(name = "UserCreated.v2", upcasts(UserCreatedV1, UserCreatedV0))]
struct UserCreated {
    name: String,
}

impl From<UserCreatedV1> for UserCreated {
    fn from(old: UserCreatedV1) -> Self {
        Self { name: old.name }
    }
}

impl From<UserCreatedV0> for UserCreated {
    fn from(old: UserCreatedV0) -> Self {
        Self { name: old.name }
    }
}

fn main() {}
