use evercore::{EventStore, RecordedEvent};

async fn load(store: &EventStore, event: &RecordedEvent) {
    let _ = store.load(event.aggregate_id()).await;
}

fn main() {}
