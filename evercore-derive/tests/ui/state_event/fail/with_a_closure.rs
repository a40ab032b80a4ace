use evercore::{Aggregate, state_event};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(UserChanged))]
struct User {
    name: String,
    age: u32,
    tags: Vec<String>,
    address: Address,
    work: Option<Address>,
}

#[derive(Default, Serialize, Deserialize)]
struct Address {
    city: String,
}

#[state_event(User)]
struct UserChanged {
    #[state(with = |name, new| set(name, new))]
    name: String,
}

fn set(_name: &mut String, _new: &str) {}

fn main() {}
