//! The run: from an empty database to a report.

use std::{
    collections::HashMap,
    ops::Range,
    sync::Arc,
    time::{Duration, Instant},
};

use evercore::{AggregateId, Event as _, EventStore, Position, Sequence};
use fastrand::Rng;
use sqlx::Row as _;
use tokio::{
    runtime::Runtime,
    sync::watch,
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    bank::{Account, Deposited, Withdrawn},
    judge::{Books, Entry, Event, Verdict},
    lags::Lags,
    options::Options,
    place::{Place, open},
    plan::Size,
    progress::Progress,
    reader::{Delivered, Reader, Way},
    report::{ReaderReport, Report},
    strangers::Strangers,
    task::Outcome,
    writer::{Journal, Writer},
};
use crate::postgres::Server;

/// Within this time after the writers, readers have come to the head: they wait for nobody any more.
const PATIENCE: Duration = Duration::from_secs(60);

/// So often strangers come.
const VISITS: u32 = 4;

/// How many events readers want at once.
const LIMITS: &[u32] = &[1, 3, 10, 100, 1_000];

/// Runs on a server for tests.
pub(super) fn run(options: &Options) -> Outcome<Report> {
    let server = Server::for_tests()?;
    let (here, elsewhere) = (Place::new(&server)?, Place::new(&server)?);
    Runtime::new()?.block_on(Run { options, here: &here, elsewhere: &elsewhere }.run())
}

struct Run<'a> {
    options: &'a Options,
    here: &'a Place,
    elsewhere: &'a Place,
}

/// What a reader got, in which way, with its place among the others.
type Read = (usize, Way, Vec<Delivered>);

impl Run<'_> {
    async fn run(self) -> Outcome<Report> {
        let Options { duration, seed, readers, .. } = *self.options;
        let progress = Arc::new(Progress::of(usize::try_from(readers)?));
        let show = tokio::spawn({
            let progress = Arc::clone(&progress);
            async move { progress.show().await }
        });
        let mut random = Rng::with_seed(seed);
        let (ended, is_ended) = watch::channel(false);
        let (accounts, opened) = self.open_accounts().await?;
        progress.written(opened.events.len());
        let reading = self.readers(&mut random, &progress, &is_ended).await?;
        let writers = self.writers(&mut random, &accounts, &progress).await?;
        let elsewhere = open(self.elsewhere.builder(1)).await?;

        let until = Instant::now() + duration;
        let writing: JoinSet<_> = writers.into_iter().map(|writer| writer.write(until)).collect();
        let (last, mut visits) = self.be_visited(&elsewhere).await?;
        let mut journal = opened;
        for written in all(writing).await? {
            journal.add(written);
        }
        ended.send_replace(true);
        let begin = Instant::now();
        let late = |_| format!("readers did not come to the head within {PATIENCE:?} after the writers");
        let read = timeout(PATIENCE, all(reading)).await.map_err(late)??;
        let rest = begin.elapsed();
        // Only now: the readers have got everything while these were there.
        visits.push(last.leave().await?);
        elsewhere.close().await?;
        show.abort();
        self.report(journal, read, &visits, rest).await
    }

    /// Strangers come and go, and come again. Whatever else changes meanwhile, half of the time there are some.
    async fn be_visited(&self, elsewhere: &EventStore) -> Outcome<(Strangers, Vec<Range<Instant>>)> {
        let pause = self.options.duration / (2 * VISITS);
        let mut visits = Vec::new();
        for _ in 1..VISITS {
            sleep(pause).await;
            let strangers = Strangers::come(self.here, elsewhere).await?;
            sleep(pause).await;
            visits.push(strangers.leave().await?);
        }
        sleep(pause).await;
        Ok((Strangers::come(self.here, elsewhere).await?, visits))
    }

    async fn report(
        &self,
        journal: Journal,
        mut read: Vec<Read>,
        visits: &[Range<Instant>],
        rest: Duration,
    ) -> Outcome<Report> {
        let (stored, withdrawals) = (self.stored(None).await?, self.stored(Some(Withdrawn::NAME)).await?);
        let books = Books::compare(journal.events.iter().map(|(event, _)| *event), &stored);
        let returned: HashMap<Event, Instant> = journal.events.into_iter().collect();
        read.sort_unstable_by_key(|(number, ..)| *number);
        let readers = read.into_iter().map(|(_, way, delivered)| {
            let wanted = if way == Way::Filtered { &withdrawals } else { &stored };
            let verdict = Verdict::on(delivered.iter().map(|delivered| delivered.entry), wanted);
            ReaderReport { name: way.name(), verdict, lags: lags(&delivered, &returned, visits) }
        });
        let readers = readers.collect();
        Ok(Report { tally: journal.tally, stored: stored.len(), books, readers, rest })
    }

    /// The accounts that all writers write to.
    async fn open_accounts(&self) -> Outcome<(Arc<[AggregateId<Account>]>, Journal)> {
        let store = open(self.here.builder(1)).await?;
        let context = store.begin();
        let mut accounts = Vec::new();
        for _ in 0..self.options.writers.max(1) * 4 {
            let mut account = context.create::<Account>().await?;
            context.apply(&mut account, Deposited { amount: 0 })?;
            accounts.push(account.id());
        }
        let mut journal = Journal::default();
        journal.note(&context.commit().await?, Size::Few(1));
        store.close().await?;
        Ok((accounts.into(), journal))
    }

    /// On two stores, as in two processes.
    async fn writers(
        &self,
        random: &mut Rng,
        accounts: &Arc<[AggregateId<Account>]>,
        progress: &Arc<Progress>,
    ) -> Outcome<Vec<Writer>> {
        let half = self.options.writers.div_ceil(2);
        let stores = [open(self.here.builder(half)).await?, open(self.here.builder(half)).await?];
        let writers = stores.iter().cycle().take(usize::try_from(self.options.writers)?).map(|store| {
            let (store, random) = (store.clone(), random.fork());
            let (accounts, progress) = (Arc::clone(accounts), Arc::clone(progress));
            Writer { store, random, accounts, progress }
        });
        Ok(writers.collect())
    }

    /// On two stores: one for those that read the whole log by the store, one for the others, which share what it
    /// knows of the log.
    async fn readers(
        &self,
        random: &mut Rng,
        progress: &Arc<Progress>,
        ended: &watch::Receiver<bool>,
    ) -> Outcome<JoinSet<Outcome<Read>>> {
        let [own, shared] = [self.reading().await?, self.reading().await?];
        let mut readers = JoinSet::new();
        for number in 0..usize::try_from(self.options.readers)? {
            let way = Way::ALL[number % Way::ALL.len()];
            let store = if way == Way::Log { own.clone() } else { shared.clone() };
            let (progress, ended, random) = (Arc::clone(progress), ended.clone(), random.fork());
            let reader = Reader { number, store, way, limits: LIMITS, random, progress };
            readers.spawn(async move { Ok((number, way, reader.read(ended).await?)) });
        }
        Ok(readers)
    }

    async fn reading(&self) -> Outcome<EventStore> {
        let builder = self.here.builder(self.options.readers);
        open(if self.options.without_horizon { builder.without_horizon() } else { builder }).await
    }

    /// What the table has, of one type of events or of all.
    async fn stored(&self, event_type: Option<&str>) -> Outcome<Vec<Entry>> {
        let statement = "SELECT position, aggregate_id, sequence FROM evercore.events
            WHERE event_type_id = (SELECT id FROM evercore.event_types WHERE name = $1) OR $1 IS NULL
            ORDER BY position";
        let mut session = self.here.session().await?;
        let rows = sqlx::query(statement).bind(event_type).fetch_all(&mut session).await?;
        let entries = rows.iter().map(|row| {
            let event = Event {
                aggregate: AggregateId::new(row.try_get(1)?),
                sequence: Sequence::new(row.try_get(2)?),
            };
            Ok(Entry { position: Position::new(row.try_get(0)?), event })
        });
        entries.collect()
    }
}

/// What all of these return.
async fn all<T: 'static>(mut tasks: JoinSet<Outcome<T>>) -> Outcome<Vec<T>> {
    let mut results = Vec::new();
    while let Some(result) = tasks.join_next().await {
        results.push(result??);
    }
    Ok(results)
}

/// The time from each commit to its events, of commits without strangers and of those beside some.
fn lags(delivered: &[Delivered], returned: &HashMap<Event, Instant>, visits: &[Range<Instant>]) -> [Lags; 2] {
    let lags = |beside: bool| {
        let lags = delivered.iter().filter_map(move |Delivered { entry, at }| {
            let returned = returned.get(&entry.event)?;
            // A reader may be faster than the answer to the commit.
            let lag = at.saturating_duration_since(*returned);
            (visits.iter().any(|visit| visit.contains(returned)) == beside).then_some(lag)
        });
        Lags::of(lags)
    };
    [lags(false), lags(true)]
}
