use evercore::{Aggregate, Apply, event};

#[event(name = "UserCreated")]
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

#[derive(Default, Aggregate)]
#[aggregate(events(UserCreated, UserCreatedV1), snapshot = off)]
struct User {}

impl Apply<UserCreated> for User {
    fn apply(&mut self, _event: &UserCreated) {}
}

impl Apply<UserCreatedV1> for User {
    fn apply(&mut self, _event: &UserCreatedV1) {}
}

fn main() {}
