//! Those who write.

use std::{
    ops::AddAssign,
    sync::Arc,
    time::{Duration, Instant},
};

use evercore::{
    AggregateId, Context, EventStore, Receipt, Sequence, StateAggregate, engine::TransactionalEngine as _,
};
use evercore_postgres::commit_in;
use fastrand::Rng;
use sqlx::Acquire as _;
use tokio::time::sleep;

use super::{
    bank::{Account, Deposited, Withdrawn},
    judge::Event,
    place::engine,
    plan::{End, Plan, Savepoint, Size},
    progress::Progress,
    task::Outcome,
};

/// One that writes as long as it is told.
pub(super) struct Writer {
    pub(super) store: EventStore,
    pub(super) random: Rng,
    /// Those that all writers write to.
    pub(super) accounts: Arc<[AggregateId<Account>]>,
    pub(super) progress: Arc<Progress>,
}

/// What a writer was told, and what it did.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// The events that are there, and when the writer knew.
    pub(super) events: Vec<(Event, Instant)>,
    pub(super) tally: Tally,
}

/// How many transactions there were, of which kinds.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) committed: u64,
    pub(super) rolled_back: u64,
    /// Somebody else had written to the account.
    pub(super) refused: u64,
    pub(super) early: u64,
    pub(super) savepoints: u64,
    pub(super) bulk: u64,
}

impl Writer {
    pub(super) async fn write(mut self, until: Instant) -> Outcome<Journal> {
        let mut journal = Journal::default();
        while Instant::now() < until {
            let plan = Plan::draw(&mut self.random);
            let (result, tally) = (self.carry_out(&plan).await?, &mut journal.tally);
            tally.early += u64::from(plan.is_early);
            tally.savepoints += u64::from(plan.savepoint != Savepoint::None);
            tally.bulk += u64::from(plan.size == Size::Bulk);
            match result {
                Written::RolledBack => tally.rolled_back += 1,
                Written::Refused => tally.refused += 1,
                Written::Committed(receipt) => {
                    tally.committed += 1;
                    let before = journal.events.len();
                    journal.note(&receipt, plan.size);
                    self.progress.written(journal.events.len() - before);
                }
            }
        }
        Ok(journal)
    }

    async fn carry_out(&mut self, plan: &Plan) -> Outcome<Written> {
        if plan.end == End::Alone {
            let context = self.fill(plan.size).await?;
            return Written::by(context.commit().await);
        }
        let mut transaction = engine(&self.store)?.begin().await?;
        if plan.is_early {
            sqlx::query("SELECT pg_current_xact_id()").execute(&mut *transaction).await?;
        }
        pause(plan.pauses[0]).await;
        if plan.savepoint == Savepoint::RolledBack {
            let context = self.fill(plan.size).await?;
            let mut savepoint = transaction.begin().await?;
            let undone = Written::by(commit_in(&context, &mut savepoint).await)?;
            savepoint.rollback().await?;
            if matches!(undone, Written::Refused) {
                return Ok(undone);
            }
        }
        let context = self.fill(plan.size).await?;
        let written = match plan.savepoint {
            Savepoint::Kept => {
                let mut savepoint = transaction.begin().await?;
                let receipt = commit_in(&context, &mut savepoint).await;
                if receipt.is_ok() {
                    savepoint.commit().await?;
                }
                receipt
            }
            Savepoint::None | Savepoint::RolledBack => commit_in(&context, &mut transaction).await,
        };
        let written = Written::by(written)?;
        // Its positions are drawn, others draw theirs, and nobody can see these yet.
        pause(plan.pauses[1]).await;
        match (&written, plan.end) {
            (Written::Committed(_), End::Committed) => engine(&self.store)?.finish(transaction).await?,
            (Written::Committed(_), _) => {
                transaction.rollback().await?;
                return Ok(Written::RolledBack);
            }
            _ => transaction.rollback().await?,
        }
        Ok(written)
    }

    /// A unit of work with so many events in it.
    async fn fill(&mut self, size: Size) -> evercore::Result<Context> {
        let context = self.store.begin();
        match size {
            Size::Few(_) => {
                let account = self.accounts[self.random.usize(..self.accounts.len())];
                let mut account = context.load(account).await?;
                self.apply(&context, &mut account, size)?;
            }
            Size::Bulk => {
                for _ in 0..100 {
                    let mut account = context.create().await?;
                    self.apply(&context, &mut account, size)?;
                }
            }
        }
        Ok(context)
    }

    fn apply(
        &mut self,
        context: &Context,
        account: &mut StateAggregate<Account>,
        size: Size,
    ) -> evercore::Result<()> {
        for _ in 0..size.events_of_each() {
            let amount = self.random.i64(1..1_000);
            match self.random.u8(..100) {
                0..20 => context.apply(account, Withdrawn { amount })?,
                _ => context.apply(account, Deposited { amount })?,
            }
        }
        Ok(())
    }
}

/// What became of a transaction.
enum Written {
    Committed(Receipt),
    RolledBack,
    Refused,
}

impl Written {
    /// Writers get into each other's way on purpose.
    fn by(result: evercore::Result<Receipt>) -> Outcome<Self> {
        match result {
            Ok(receipt) => Ok(Self::Committed(receipt)),
            Err(error) if error.is_conflict() => Ok(Self::Refused),
            Err(error) => Err(error.into()),
        }
    }
}

impl Journal {
    pub(super) fn add(&mut self, other: Self) {
        self.events.extend(other.events);
        self.tally += other.tally;
    }

    /// The last events of each aggregate are new.
    pub(super) fn note(&mut self, receipt: &Receipt, size: Size) {
        let now = Instant::now();
        for written in receipt.aggregates() {
            let last = written.sequence.get();
            for sequence in last - size.events_of_each() + 1..=last {
                let event = Event { aggregate: written.id, sequence: Sequence::new(sequence) };
                self.events.push((event, now));
            }
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.committed += other.committed;
        self.rolled_back += other.rolled_back;
        self.refused += other.refused;
        self.early += other.early;
        self.savepoints += other.savepoints;
        self.bulk += other.bulk;
    }
}

async fn pause(pause: Duration) {
    if !pause.is_zero() {
        sleep(pause).await;
    }
}
