use evercore::{Aggregate, state_event};

#[derive(Default, Aggregate)]
#[aggregate(events(Renamed), snapshot = off)]
struct User {
    name: String,
}

#[derive(Default, Aggregate)]
#[aggregate(events(Opened), snapshot = off)]
struct Account {
    name: String,
}

#[state_event(User, Account)]
struct Renamed {
    name: String,
}

#[state_event(Account)]
struct Opened {
    name: String,
}

fn main() {}
