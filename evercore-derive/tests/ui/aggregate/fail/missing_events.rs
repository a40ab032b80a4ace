use evercore::Aggregate;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account")]
struct Account {}

fn main() {}
