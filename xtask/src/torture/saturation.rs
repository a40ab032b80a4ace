//! How long after a commit a reader has its events when writers do nothing but commit, and what doorbells cost those.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use evercore::EventStore;
use fastrand::Rng;
use tokio::{runtime::Runtime, sync::watch, task::JoinSet};

use super::{
    bank::{Account, Deposited},
    judge::Event,
    lags::Lags,
    options::Options,
    place::{Place, open},
    plan::Size,
    progress::Progress,
    reader::{Reader, Way},
    task::Outcome,
    writer::Journal,
};
use crate::postgres::Server;

/// As many as keep a server busy.
const WRITERS: u32 = 32;

/// So often each kind of watching is measured, in turns.
const ROUNDS: u32 = 5;

/// What was measured; shown as tables.
#[derive(Debug)]
pub(super) struct Figures {
    lags: Vec<(u32, Where, f64, Lags)>,
    throughput: Throughput,
}

/// Commits a second.
#[derive(Debug, Default, Clone, Copy)]
struct Throughput {
    silent: f64,
    watched: f64,
}

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Where {
    SameProcess,
    OtherProcess,
}

/// Measures on a server that waits for its disk.
pub(super) fn measure(options: &Options) -> Outcome<Figures> {
    let server = Server::for_measurements()?;
    let runtime = Runtime::new()?;
    let duration = options.duration / 5;
    let mut lags = Vec::new();
    for writers in [1, WRITERS] {
        for place in [Where::SameProcess, Where::OtherProcess] {
            eprintln!("{writers} writers, {place} ...");
            let here = Place::new(&server)?;
            let (rate, lag) = runtime.block_on(lag(&here, writers, place, duration))?;
            lags.push((writers, place, rate, lag));
        }
    }
    eprintln!("commits with and without a watcher ...");
    let here = Place::new(&server)?;
    let throughput = runtime.block_on(throughput(&here, duration))?;
    drop(runtime);
    Ok(Figures { lags, throughput })
}

/// Commits a second, and how long after them a reader that waits for the doorbell had the events.
async fn lag(here: &Place, writers: u32, place: Where, duration: Duration) -> Outcome<(f64, Lags)> {
    let store = open(here.builder(writers)).await?;
    let reading = match place {
        Where::SameProcess => store.clone(),
        Where::OtherProcess => open(here.builder(1)).await?,
    };
    let (ended, is_ended) = watch::channel(false);
    let progress = Arc::new(Progress::of(1));
    let reader = Reader {
        number: 0,
        store: reading.clone(),
        way: Way::Log,
        limits: &[1_000],
        random: Rng::new(),
        progress,
    };
    let reader = tokio::spawn(reader.read(is_ended));
    let begin = Instant::now();
    let committed = saturate(&store, writers, begin + duration).await?;
    let rate = per_second(committed.len(), begin);
    ended.send_replace(true);
    let delivered = reader.await??;
    store.close().await?;
    reading.close().await?;
    let lags = delivered.iter().filter_map(|delivered| {
        Some(delivered.at.saturating_duration_since(*committed.get(&delivered.entry.event)?))
    });
    Ok((rate, Lags::of(lags)))
}

/// Has writers commit one event after the other, and says when they knew of each.
async fn saturate(store: &EventStore, writers: u32, until: Instant) -> Outcome<HashMap<Event, Instant>> {
    let mut working = JoinSet::new();
    for _ in 0..writers {
        working.spawn(deposit(store.clone(), until));
    }
    let mut committed = HashMap::new();
    while let Some(journal) = working.join_next().await {
        committed.extend(journal??.events);
    }
    Ok(committed)
}

/// To an account of its own.
async fn deposit(store: EventStore, until: Instant) -> evercore::Result<Journal> {
    let context = store.begin();
    let mut account = context.create::<Account>().await?;
    context.apply(&mut account, Deposited { amount: 1 })?;
    context.commit().await?;
    let mut journal = Journal::default();
    while Instant::now() < until {
        let context = store.begin();
        context.apply(&mut account, Deposited { amount: 1 })?;
        journal.note(&context.commit().await?, Size::Few(1));
    }
    Ok(journal)
}

/// In turns, so that whatever else the machine does is shared fairly.
async fn throughput(here: &Place, duration: Duration) -> Outcome<Throughput> {
    let (silent, telling) =
        (open(here.builder(WRITERS).without_telling()).await?, open(here.builder(WRITERS)).await?);
    let mut throughput = Throughput::default();
    for _ in 0..ROUNDS {
        throughput.silent += rate(&silent, duration).await? / f64::from(ROUNDS);
        let watching = open(here.builder(1)).await?;
        let mut bell = watching.watch();
        let hearing = tokio::spawn(async move {
            loop {
                bell.rung().await;
            }
        });
        throughput.watched += rate(&telling, duration).await? / f64::from(ROUNDS);
        hearing.abort();
        watching.close().await?;
    }
    silent.close().await?;
    telling.close().await?;
    Ok(throughput)
}

/// Commits a second.
async fn rate(store: &EventStore, duration: Duration) -> Outcome<f64> {
    let begin = Instant::now();
    let committed = saturate(store, WRITERS, begin + duration / ROUNDS / 2).await?;
    Ok(per_second(committed.len(), begin))
}

fn per_second(commits: usize, since: Instant) -> f64 {
    f64::from(u32::try_from(commits).unwrap_or(u32::MAX)) / since.elapsed().as_secs_f64()
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SameProcess => "as in the same process",
            Self::OtherProcess => "as in another process",
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "lag in ms of a reader that waits for the doorbell")?;
        writeln!(f, "{:>7} {:24}{:>10}{}", "writers", "reader", "commits/s", Lags::HEAD)?;
        for (writers, place, rate, lags) in &self.lags {
            writeln!(f, "{writers:7} {:24}{rate:10.0}{lags}", place.to_string())?;
        }
        let Throughput { silent, watched } = self.throughput;
        writeln!(f, "\ncommits/s of {WRITERS} writers: {watched:.0} with a watcher in another process,")?;
        write!(f, "{silent:.0} when nobody is told; the ratio is {:.3}", watched / silent)
    }
}
