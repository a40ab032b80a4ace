use evercore::{Aggregate, state_event};

#[derive(Default, Aggregate)]
#[aggregate(events(Renamed), snapshot = off)]
struct User {
    name: String,
}

#[derive(Default, Aggregate)]
#[aggregate(events(Renamed), snapshot = off)]
struct Account {
    name: String,
}

#[state_event(User, Account, Order)]
struct Renamed {
    name: String,
}

fn main() {}
