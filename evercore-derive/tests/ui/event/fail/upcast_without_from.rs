use evercore::{Aggregate, Apply, event, registry};

#[event(name = "UserCreated")]
struct UserCreatedV1 {
    name: String,
}

#[event(name = "UserCreated.v2", upcasts(UserCreatedV1))]
struct UserCreated {
    name: String,
}

#[derive(Default, Aggregate)]
#[aggregate(events(UserCreated), snapshot = off)]
struct User {}

impl Apply<UserCreated> for User {
    fn apply(&mut self, _event: &UserCreated) {}
}

registry!(Domain { User });

fn main() {}
