use evercore::{Aggregate, Apply, event};

#[event(alias = "UserMade")]
struct Ignored {
    name: String,
}

#[derive(Default, Aggregate)]
#[aggregate(events(Ignored), ignores("HintGiven"), snapshot = off)]
struct User {}

impl Apply<Ignored> for User {
    fn apply(&mut self, _event: &Ignored) {}
}

fn main() {}
