use evercore::{Aggregate, Apply, event, registry};

#[event(name = "UserCreated.v1", upcasts(UserCreated))]
struct UserCreatedV1 {
    name: String,
}

#[event(name = "UserCreated.v2", upcasts(UserCreatedV1))]
struct UserCreatedV2 {
    name: String,
}

#[event(name = "UserCreated.v3", upcasts(UserCreatedV2))]
struct UserCreated {
    name: String,
}

impl From<UserCreated> for UserCreatedV1 {
    fn from(old: UserCreated) -> Self {
        Self { name: old.name }
    }
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

#[derive(Default, Aggregate)]
#[aggregate(events(UserCreated), snapshot = off)]
struct User {}

impl Apply<UserCreated> for User {
    fn apply(&mut self, _event: &UserCreated) {}
}

registry!(Domain { User });

fn main() {}
