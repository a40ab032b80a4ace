use evercore::{Aggregate, event};
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Opened))]
struct Account<T> {
    owner: T,
}

#[event]
struct Opened {}

fn main() {}
