use evercore::{Aggregate, StateAggregate, state_event};

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(UserRenamed), snapshot = off)]
struct User {
    name: String,
}

#[state_event(User)]
struct UserRenamed {
    name: String,
}

fn rename(user: &mut StateAggregate<User>) {
    user.name = String::from("john");
}

fn main() {}
