use evercore::{Aggregate, Apply, event, registry};

#[event(name = "UserCreated.v2", upcasts("UserMade" with created))]
struct UserCreated {
    name: String,
}

#[event(upcasts("UserMade" with added))]
struct AdminAdded {
    name: String,
}

fn created(old: serde_json::Value) -> Result<UserCreated, serde_json::Error> {
    serde_json::from_value(old)
}

fn added(old: serde_json::Value) -> Result<AdminAdded, serde_json::Error> {
    serde_json::from_value(old)
}

#[derive(Default, Aggregate)]
#[aggregate(events(UserCreated), snapshot = off)]
struct User {}

impl Apply<UserCreated> for User {
    fn apply(&mut self, _event: &UserCreated) {}
}

#[derive(Default, Aggregate)]
#[aggregate(events(AdminAdded), snapshot = off)]
struct Admin {}

impl Apply<AdminAdded> for Admin {
    fn apply(&mut self, _event: &AdminAdded) {}
}

registry!(Domain { User, Admin });

fn main() {}
