//! Measures what an interval between snapshots costs: an aggregate is loaded and gets one event, again and again.
//!
//! ```text
//! cargo run --release --example snapshot_interval
//! ```
//!
//! Rounds of all intervals alternate, and the median of each is printed, so that noise of the machine hits all
//! alike. The numbers behind the default of `snapshot_every`.

#![allow(missing_docs, reason = "the names of a small program say it")]

use std::{
    fmt::Debug,
    time::{Duration, Instant},
};

use evercore::{Aggregate, Apply, EventOf, EventStore, event};
use evercore_sqlite::SqliteEngine;
use serde::{Deserialize, Serialize};

#[event]
struct Counted {
    note: String,
}

/// Declares an aggregate with a list of so many entries in its state, and a snapshot every so many events.
macro_rules! counters {
    ($($name:ident: $entries:literal, $every:literal;)*) => {$(
        #[derive(Debug, Serialize, Deserialize, Aggregate)]
        #[aggregate(events(Counted), snapshot_every = $every)]
        struct $name {
            count: u64,
            entries: Vec<String>,
        }

        impl Default for $name {
            fn default() -> Self {
                Self { count: 0, entries: vec!["twenty bytes of text".to_owned(); $entries] }
            }
        }

        impl Apply<Counted> for $name {
            fn apply(&mut self, event: &Counted) {
                self.count += event.note.len() as u64;
            }
        }
    )*};
}

counters! {
    Small5: 2, 5; Small10: 2, 10; Small20: 2, 20; Small50: 2, 50; Small100: 2, 100; Small500: 2, 500;
    Large5: 1000, 5; Large10: 1000, 10; Large20: 1000, 20; Large50: 1000, 50; Large100: 1000, 100; Large500: 1000, 500;
}

const ROUNDS: usize = 9;
const UPDATES: u32 = 1_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("microseconds for one load and one commit of one event, median of {ROUNDS} rounds of {UPDATES}");
    let (mut small, mut large) = (Table::default(), Table::default());
    for _ in 0..ROUNDS {
        small.add::<Small5>("5").await?;
        small.add::<Small10>("10").await?;
        small.add::<Small20>("20").await?;
        small.add::<Small50>("50").await?;
        small.add::<Small100>("100").await?;
        small.add::<Small500>("500").await?;
        large.add::<Large5>("5").await?;
        large.add::<Large10>("10").await?;
        large.add::<Large20>("20").await?;
        large.add::<Large50>("50").await?;
        large.add::<Large100>("100").await?;
        large.add::<Large500>("500").await?;
    }
    println!("state of about 60 bytes:");
    small.print();
    println!("state of about 24,000 bytes:");
    large.print();
    Ok(())
}

/// Times by interval.
#[derive(Default)]
struct Table(Vec<(&'static str, Vec<Duration>)>);

impl Table {
    async fn add<A: Aggregate + Debug>(
        &mut self,
        every: &'static str,
    ) -> Result<(), Box<dyn std::error::Error>>
    where
        Counted: EventOf<A>,
    {
        let time = updates::<A>().await?;
        match self.0.iter_mut().find(|(known, _)| *known == every) {
            Some((_, times)) => times.push(time),
            None => self.0.push((every, vec![time])),
        }
        Ok(())
    }

    fn print(&mut self) {
        for (every, times) in &mut self.0 {
            times.sort_unstable();
            println!("  a snapshot every {every:>3} events: {:>6.1}", times[ROUNDS / 2].as_secs_f64() * 1e6);
        }
    }
}

/// The time of one update of an aggregate, on average.
async fn updates<A: Aggregate>() -> Result<Duration, Box<dyn std::error::Error>>
where
    Counted: EventOf<A>,
{
    let path = std::env::temp_dir().join(format!("snapshot-interval-{}.db", std::process::id()));
    let store = EventStore::open::<A>(SqliteEngine::builder().path(&path).connect().await?).await?;
    let id = store.with_context(async |ctx| Ok(ctx.create::<A>().await?.id())).await?;
    let start = Instant::now();
    for _ in 0..UPDATES {
        let ctx = store.begin();
        let mut counter = ctx.load(id).await?;
        let note =
            "a note of about one hundred and fifty bytes, as the payload of an event often has ".repeat(2);
        ctx.apply(&mut counter, Counted { note })?;
        ctx.commit().await?;
    }
    let time = start.elapsed() / UPDATES;
    store.close().await?;
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        let _ = std::fs::remove_file(file);
    }
    Ok(time)
}
