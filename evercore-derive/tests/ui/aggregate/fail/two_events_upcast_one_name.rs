use evercore::{Aggregate, Apply, event};

#[event(name = "UserCreated.v2", upcasts("UserMade" with created))]
struct UserCreated {
    name: String,
}

#[event(upcasts("UserMade" with added))]
struct UserAdded {
    name: String,
}

fn created(old: serde_json::Value) -> Result<UserCreated, serde_json::Error> {
    serde_json::from_value(old)
}

fn added(old: serde_json::Value) -> Result<UserAdded, serde_json::Error> {
    serde_json::from_value(old)
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
