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
    #[state(push)]
    tags: Vec<String>,
}

fn main() {}
