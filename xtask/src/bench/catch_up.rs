//! Reading all of a long log, and the few events of it that a filter lets through.

use std::{
    error::Error,
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use evercore::EventStore;
use tokio::sync::Notify;

use super::{
    hand_loop::HandLoop,
    memory::Before,
    options::Options,
    place::{Kind, Place},
    plant::{Calibrated, RARITY, fill},
    table::{Figure, Table},
    task::{Outcome, median},
};

const BATCH: u32 = 1_000;

/// Measures on a store of its own.
pub(super) async fn measure(kind: Kind, options: &Options, table: &mut Table) -> Outcome {
    let place = Place::new(kind)?;
    let store = place.open().await?;
    eprintln!("{kind}: {} events are appended ...", options.events);
    let begin = Instant::now();
    fill(&store, options.events).await?;
    eprintln!("{kind}: at {:.0} events/s", f64::from(options.events) / begin.elapsed().as_secs_f64());
    place.settle().await?;
    let mut reading = Reading { store: &store, hand_loop: place.hand_loop().await?, events: options.events };
    eprintln!("{kind}: and read, 1 + {} times ...", options.rounds);
    let before = Before::now();
    reading.subscription(Filter::None, "warm-up").await?;
    let growth = before.and_then(Before::growth);
    reading.round("warm-up again").await?;
    let mut rounds = Vec::new();
    for number in 0..options.rounds {
        rounds.push(reading.round(&format!("round {number}")).await?);
    }
    store.close().await?;
    let [by_hand, all, few] = [0, 1, 2].map(|column| median(rounds.iter().map(|round| round[column])));
    let rate = |time: f64| f64::from(reading.events / RARITY * RARITY) / time;
    table.add(kind, "catch-up, loop by hand", Figure::EventsPerSecond(rate(by_hand)), None);
    table.add(kind, "catch-up, subscription", Figure::EventsPerSecond(rate(all)), None);
    table.add(kind, "  to the loop", Figure::Ratio(by_hand / all), Some(Figure::AtLeast(0.8)));
    if let Some(growth) = growth {
        table.add(kind, "  memory more at most", Figure::Megabytes(growth), Some(Figure::AtMost(64.0)));
    }
    table.add(kind, "1 event in 1,000 by a filter", Figure::Milliseconds(few * 1e3), None);
    table.add(kind, "  to reading everything", Figure::Ratio(few / all), Some(Figure::AtMost(0.05)));
    Ok(())
}

struct Reading<'a> {
    store: &'a EventStore,
    hand_loop: HandLoop,
    events: u32,
}

#[derive(Debug, Clone, Copy)]
enum Filter {
    None,
    Rare,
}

impl Reading<'_> {
    /// The seconds that each way takes.
    async fn round(&mut self, name: &str) -> Outcome<[f64; 3]> {
        let by_hand = self.by_hand().await?;
        let all = self.subscription(Filter::None, name).await?;
        let few = self.subscription(Filter::Rare, &format!("{name}, filtered")).await?;
        Ok([by_hand, all, few].map(|time| time.as_secs_f64()))
    }

    async fn by_hand(&mut self) -> Outcome<Duration> {
        let begin = Instant::now();
        let count = self.hand_loop.run(0, BATCH, |events| _ = black_box(events)).await?;
        let time = begin.elapsed();
        self.expect(count, Filter::None)?;
        Ok(time)
    }

    /// From the definition of a new subscription to its orderly end after the last event.
    async fn subscription(&self, filter: Filter, name: &str) -> Outcome<Duration> {
        let expected = self.expected(filter);
        let (count, done) = (AtomicU32::new(0), Arc::new(Notify::new()));
        let shutdown = Arc::clone(&done);
        let subscription = self.store.subscription(name).batch_size(BATCH);
        let subscription = match filter {
            Filter::None => subscription,
            Filter::Rare => subscription.event::<Calibrated>(),
        };
        let begin = Instant::now();
        let handler = async |batch: evercore::Batch<evercore::RecordedEvent>| {
            let batch = black_box(batch);
            let delivered = u32::try_from(batch.len())?;
            if count.fetch_add(delivered, Ordering::Relaxed) + delivered >= expected {
                done.notify_one();
            }
            Ok(())
        };
        subscription.until(async move { shutdown.notified().await }).run(handler).await?;
        let time = begin.elapsed();
        self.expect(count.load(Ordering::Relaxed), filter)?;
        self.store.delete_subscription(name).await?;
        Ok(time)
    }

    fn expected(&self, filter: Filter) -> u32 {
        let rare = self.events / RARITY;
        match filter {
            Filter::None => rare * RARITY,
            Filter::Rare => rare,
        }
    }

    fn expect(&self, count: u32, filter: Filter) -> Outcome {
        let expected = self.expected(filter);
        match count == expected {
            true => Ok(()),
            false => {
                Err(Box::<dyn Error + Send + Sync>::from(format!("{count} events instead of {expected}")))
            }
        }
    }
}
