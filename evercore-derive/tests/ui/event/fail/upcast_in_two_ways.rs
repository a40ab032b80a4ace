use evercore::event;

#[event(name = "UserCreated")]
struct UserCreatedV1 {
    name: String,
}

#[event(name = "UserCreated.v2", upcasts(UserCreatedV1))]
struct UserCreatedV2 {
    name: String,
}

#[event(name = "UserCreated.v3", upcasts(UserCreatedV2, UserCreatedV1))]
struct UserCreated {
    name: String,
}

impl From<UserCreatedV1> for UserCreatedV2 {
    fn from(old: UserCreatedV1) -> Self {
        Self { name: old.name }
    }
}

impl From<UserCreatedV2> for UserCreated {
    fn from(old: UserCreatedV2) -> Self {
        Self { name: old.name }
    }
}

impl From<UserCreatedV1> for UserCreated {
    fn from(old: UserCreatedV1) -> Self {
        Self { name: old.name }
    }
}

fn main() {}
