use evercore::{Aggregate, state_event};

#[derive(Default, Aggregate)]
#[aggregate(events(Renamed), snapshot = off)]
struct User {
    name: String,
}

#[derive(Default, Aggregate)]
#[aggregate(events(Renamed), snapshot = off)]
struct Account {
    name: u32,
}

#[state_event(User, Account)]
struct Renamed {
    name: String,
}

fn main() {}
