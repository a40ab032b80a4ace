//! How long after a commit a waiting subscription has its event.

use std::{
    collections::HashMap,
    env,
    future::ready,
    process::Stdio,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use evercore::{Batch, EventStore, Position, RecordedEvent};
use tokio::{process::Command, sync::mpsc, time::sleep};

use super::{
    options::Order,
    place::{Kind, Place, open_url},
    plant::{Meter, measured},
    table::{Figure, Table},
    task::{Outcome, median},
};

const COMMITS: u32 = 300;

/// Between two commits, so that each finds the subscription waiting.
const PAUSE: Duration = Duration::from_millis(5);

/// When the commits of events returned, or when they were handled, since 1970: other processes have the same clock.
type Times = HashMap<Position, Duration>;

/// Measures on a store of its own.
pub(super) async fn measure(kind: Kind, table: &mut Table) -> Outcome {
    let place = Place::new(kind)?;
    let store = place.open().await?;
    eprintln!("{kind}: commits, and a subscription that waits for them ...");
    let own = lag(&store, "own", commit(&store, COMMITS)).await?;
    let mut hand_loop = place.hand_loop().await?;
    let mut queries = Vec::new();
    for _ in 0..COMMITS {
        let begin = now();
        hand_loop.run(i64::MAX, 1, |_| {}).await?;
        queries.push((now() - begin).as_secs_f64() * 1e3);
        sleep(PAUSE).await;
    }
    table.add(kind, "a query by hand", Figure::Milliseconds(median(queries)), None);
    let below = |limit| Some(Figure::AtMost(limit));
    table.add(kind, "commit to handler, one process", Figure::Milliseconds(own), below(3.0));
    if let Place::Postgres(database, _) = &place {
        let others = lag(&store, "others", commit_elsewhere(database.url(), COMMITS)).await?;
        table.add(kind, "commit to handler, two processes", Figure::Milliseconds(others), below(15.0));
    }
    store.close().await?;
    Ok(())
}

/// The median, in milliseconds.
async fn lag(store: &EventStore, name: &str, commits: impl Future<Output = Outcome<Times>>) -> Outcome<f64> {
    let (handled, mut events) = mpsc::unbounded_channel();
    let handler = move |batch: Batch<RecordedEvent>| {
        let told = batch.iter().try_for_each(|event| handled.send((event.position(), now())));
        ready(told.map_err(Into::into))
    };
    let subscription = store.subscription(name).run(handler);
    let subscription = tokio::spawn(subscription);
    // What comes up to this event is not measured.
    commit(store, 1).await?;
    events.recv().await.ok_or("the subscription has ended")?;
    let committed = commits.await?;
    let mut lags = Vec::new();
    while lags.len() < committed.len() {
        let (position, at) = events.recv().await.ok_or("the subscription has ended")?;
        if let Some(returned) = committed.get(&position) {
            // A handler may be faster than the answer to the commit.
            lags.push(at.saturating_sub(*returned).as_secs_f64() * 1e3);
        }
    }
    subscription.abort();
    Ok(median(lags))
}

async fn commit(store: &EventStore, events: u32) -> Outcome<Times> {
    let mut times = Times::new();
    for number in 0..events {
        let context = store.begin();
        let mut meter = context.create::<Meter>().await?;
        context.apply(&mut meter, measured(number))?;
        let receipt = context.commit().await?;
        let position = receipt.last_position().ok_or("an event has no position")?;
        times.insert(position, now());
        sleep(PAUSE).await;
    }
    Ok(times)
}

/// Has another process commit, and asks it when.
async fn commit_elsewhere(url: String, events: u32) -> Outcome<Times> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["bench", Order::COMMIT, &url, &events.to_string()]).stdout(Stdio::piped());
    let output = command.spawn()?.wait_with_output().await?;
    let text = String::from_utf8(output.stdout)?;
    let times = text.lines().map(|line| {
        let (position, micros) = line.split_once(' ').ok_or("the other process said something else")?;
        Ok((Position::new(position.parse()?), Duration::from_micros(micros.parse()?)))
    });
    times.collect()
}

/// The part of the other process.
pub(super) async fn commit_and_tell(url: &str, events: u32) -> Outcome {
    let store = open_url(url).await?;
    for (position, at) in commit(&store, events).await? {
        println!("{position} {}", at.as_micros());
    }
    store.close().await?;
    Ok(())
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
