use evercore::{Aggregate, Apply, event, registry};

#[event(name = "UserCreated", upcasts(UserCreated))]
struct UserCreatedV1 {
    name: String,
}

#[event(name = "UserCreated.v2", upcasts(UserCreatedV1))]
struct UserCreated {
    name: String,
}

impl From<UserCreatedV1> for UserCreated {
    fn from(old: UserCreatedV1) -> Self {
        Self { name: old.name }
    }
}

impl From<UserCreated> for UserCreatedV1 {
    fn from(old: UserCreated) -> Self {
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
