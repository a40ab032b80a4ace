use evercore::Aggregate;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events())]
struct Account {}

fn main() {}
