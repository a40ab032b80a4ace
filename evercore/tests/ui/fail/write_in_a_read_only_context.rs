use evercore::{Aggregate, ReadContext, Result, StateAggregate, state_event};

#[derive(Debug, Default, Aggregate)]
#[aggregate(events(UserRenamed), snapshot = off)]
struct User {
    name: String,
}

#[state_event(User)]
struct UserRenamed {
    name: String,
}

async fn rename(ctx: &ReadContext, user: &mut StateAggregate<User>) -> Result<()> {
    ctx.apply(user, UserRenamed { name: String::from("john") })
}

async fn end(ctx: &ReadContext) {
    ctx.commit().await;
}

fn main() {}
