use evercore::{Aggregate, state_event};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(UserCreated))]
struct User {
    name: String,
    age: u32,
}

#[state_event(User)]
enum UserCreated {
    Now,
}

fn main() {}
