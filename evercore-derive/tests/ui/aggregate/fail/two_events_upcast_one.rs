use evercore::{Aggregate, Apply, event};

#[event(name = "UserCreated")]
struct UserCreatedV1 {
    name: String,
}

#[event(name = "UserCreated.v2", upcasts(UserCreatedV1))]
struct UserCreated {
    name: String,
}

#[event(name = "UserAdded", upcasts(UserCreatedV1))]
struct UserAdded {
    name: String,
}

impl From<UserCreatedV1> for UserCreated {
    fn from(old: UserCreatedV1) -> Self {
        Self { name: old.name }
    }
}

impl From<UserCreatedV1> for UserAdded {
    fn from(old: UserCreatedV1) -> Self {
        Self { name: old.name }
    }
}

#[derive(Default, Aggregate)]
#[aggregate(events(UserCreated, UserAdded), snapshot = off)]
struct User {}

impl Apply<UserCreated> for User {
    fn apply(&mut self, _event: &UserCreated) {}
}

impl Apply<UserAdded> for User {
    fn apply(&mut self, _event: &UserAdded) {}
}

fn main() {}
