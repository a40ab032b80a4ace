//! Those who have nothing to do with the log, and must not hold up its readers.

use evercore::{EventStore, engine::TransactionalEngine as _};
use evercore_postgres::commit_in;
use sqlx::{PgConnection, Postgres, Transaction};

use super::{
    bank::{Account, Deposited},
    place::{Place, engine, open},
    task::Outcome,
};

/// Transactions that stay open: one that has appended to the store of another database of the server, and one that
/// has read and written other things in this one, and does nothing any more.
#[derive(Debug)]
pub(super) struct Strangers {
    elsewhere: EventStore,
    appending: Transaction<'static, Postgres>,
    idle: PgConnection,
}

impl Strangers {
    pub(super) async fn come(here: &Place, elsewhere: &Place) -> Outcome<Self> {
        let elsewhere = open(elsewhere.builder(1)).await?;
        let mut appending = engine(&elsewhere)?.begin().await?;
        let context = elsewhere.begin();
        let mut account = context.create::<Account>().await?;
        context.apply(&mut account, Deposited { amount: 1 })?;
        commit_in(&context, &mut appending).await?;

        let mut idle = here.session().await?;
        for statement in [
            "CREATE TABLE orders (number bigint)",
            "BEGIN ISOLATION LEVEL REPEATABLE READ",
            "SELECT count(*) FROM evercore.events",
            "INSERT INTO orders VALUES (7)",
        ] {
            sqlx::raw_sql(statement).execute(&mut idle).await?;
        }
        Ok(Self { elsewhere, appending, idle })
    }

    /// Fails when one of them did not stay, because then nothing was shown.
    pub(super) async fn leave(mut self) -> Outcome {
        sqlx::raw_sql("INSERT INTO orders VALUES (8); COMMIT").execute(&mut self.idle).await?;
        engine(&self.elsewhere)?.finish(self.appending).await?;
        self.elsewhere.close().await?;
        Ok(())
    }
}
