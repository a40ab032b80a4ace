use evercore::Aggregate;
use serde::{Deserialize, Serialize};

#[derive(Default, Serialize, Deserialize, Aggregate)]
struct Account {}

fn main() {}
