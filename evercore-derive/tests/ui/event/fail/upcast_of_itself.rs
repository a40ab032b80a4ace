use evercore::{Aggregate, Apply, event, registry};

#[event(upcasts(UserCreated))]
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
