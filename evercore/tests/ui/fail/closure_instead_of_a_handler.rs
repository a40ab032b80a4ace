//! A closure is given to `run`; `run_handler` is for values with a state of their own.

use evercore::EventStore;

async fn follow(store: EventStore) -> evercore::Result<()> {
    store.subscription("letters").run_handler(async |batch| Ok(())).await
}

fn main() {}
