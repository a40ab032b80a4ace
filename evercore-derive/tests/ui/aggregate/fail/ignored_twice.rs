use evercore::{Aggregate, Apply, event};

#[event(alias = "UserMade")]
struct UserCreated {
    name: String,
}

#[derive(Default, Aggregate)]
#[aggregate(events(UserCreated), ignores("HintGiven", "HintGiven"), snapshot = off)]
struct User {}

impl Apply<UserCreated> for User {
    fn apply(&mut self, _event: &UserCreated) {}
}

fn main() {}
