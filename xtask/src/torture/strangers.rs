//! Those who have nothing to do with the log, and must not hold up its readers.

use std::{ops::Range, time::Instant};

use evercore::{EventStore, engine::TransactionalEngine as _};
use evercore_postgres::commit_in;
use sqlx::{PgConnection, Postgres, Transaction};

use super::{
    bank::{Account, Deposited},
    place::{Place, engine},
    task::Outcome,
};

/// Transactions that stay open: one that has appended to the store of another database of the server, and one that
/// has read and written other things in this one, and does nothing any more.
#[derive(Debug)]
pub(super) struct Strangers {
    elsewhere: EventStore,
    appending: Transaction<'static, Postgres>,
    idle: PgConnection,
    since: Instant,
}

impl Strangers {
    pub(super) async fn come(here: &Place, elsewhere: &EventStore) -> Outcome<Self> {
        let mut appending = engine(elsewhere)?.begin().await?;
        let context = elsewhere.begin();
        let mut account = context.create::<Account>().await?;
        context.apply(&mut account, Deposited { amount: 1 })?;
        commit_in(&context, &mut appending).await?;

        let mut idle = here.session().await?;
        for statement in [
            "CREATE TABLE IF NOT EXISTS orders (number bigint)",
            "BEGIN ISOLATION LEVEL REPEATABLE READ",
            "SELECT count(*) FROM evercore.events",
            "INSERT INTO orders VALUES (7)",
        ] {
            sqlx::raw_sql(statement).execute(&mut idle).await?;
        }
        Ok(Self { elsewhere: elsewhere.clone(), appending, idle, since: Instant::now() })
    }

    /// Says when they were there. Fails when one of them did not stay, because then nothing was shown.
    pub(super) async fn leave(mut self) -> Outcome<Range<Instant>> {
        let until = Instant::now();
        sqlx::raw_sql("INSERT INTO orders VALUES (8); COMMIT").execute(&mut self.idle).await?;
        engine(&self.elsewhere)?.finish(self.appending).await?;
        Ok(self.since..until)
    }
}
