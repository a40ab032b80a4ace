//! One way to run statements on two drivers.
//!
//! Applications see sqlx, and a commit can run in a transaction of theirs. The engine's own connections are
//! called directly, each on a thread of its own: a hop to another thread per unit of work, not per statement.
//! What a commit does is written once, over [`Connection`].

use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

pub(crate) use rusqlite::types::{Value, ValueRef};
use rusqlite::{params_from_iter, types::ToSqlOutput};
use sqlx::{
    AssertSqlSafe, Row as _, Sqlite, SqliteConnection, TypeInfo as _, ValueRef as _,
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{error::Problem, statements};

/// A connection on which the statements of a commit run.
pub(crate) trait Connection: Send {
    /// Runs a statement and says how many rows it changed.
    fn execute(
        &mut self,
        sql: &'static str,
        parameters: &[ValueRef<'_>],
    ) -> impl Future<Output = Result<usize, Problem>> + Send;

    /// Runs a query and returns its first row, whose first `COLUMNS` are wanted.
    fn row<const COLUMNS: usize>(
        &mut self,
        sql: &'static str,
        parameters: &[ValueRef<'_>],
    ) -> impl Future<Output = Result<Option<[Value; COLUMNS]>, Problem>> + Send;
}

/// The engine's own connections: the futures are ready at once, see [`now`].
impl Connection for rusqlite::Connection {
    async fn execute(&mut self, sql: &'static str, parameters: &[ValueRef<'_>]) -> Result<usize, Problem> {
        Ok(self.prepare_cached(sql)?.execute(params_from_iter(borrowed(parameters)))?)
    }

    async fn row<const COLUMNS: usize>(
        &mut self,
        sql: &'static str,
        parameters: &[ValueRef<'_>],
    ) -> Result<Option<[Value; COLUMNS]>, Problem> {
        let mut statement = self.prepare_cached(sql)?;
        let mut rows = statement.query(params_from_iter(borrowed(parameters)))?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let mut values = [const { Value::Null }; COLUMNS];
        for (index, value) in values.iter_mut().enumerate() {
            *value = row.get(index)?;
        }
        Ok(Some(values))
    }
}

/// Connections in transactions of the caller.
impl Connection for SqliteConnection {
    async fn execute(&mut self, sql: &'static str, parameters: &[ValueRef<'_>]) -> Result<usize, Problem> {
        let done = bound(sql, parameters)?.execute(self).await?;
        Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
    }

    async fn row<const COLUMNS: usize>(
        &mut self,
        sql: &'static str,
        parameters: &[ValueRef<'_>],
    ) -> Result<Option<[Value; COLUMNS]>, Problem> {
        let Some(row) = bound(sql, parameters)?.fetch_optional(self).await? else { return Ok(None) };
        let mut values = [const { Value::Null }; COLUMNS];
        for (index, value) in values.iter_mut().enumerate() {
            *value = owned(&row, index)?;
        }
        Ok(Some(values))
    }
}

/// The result of a future that never waits: one over the engine's own connections.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("calls of SQLite return when they are done"),
    }
}

fn borrowed<'a>(parameters: &'a [ValueRef<'a>]) -> impl Iterator<Item = ToSqlOutput<'a>> {
    parameters.iter().map(|parameter| ToSqlOutput::Borrowed(*parameter))
}

fn bound<'q>(
    sql: &'static str,
    parameters: &[ValueRef<'q>],
) -> Result<Query<'q, Sqlite, SqliteArguments>, Problem> {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for parameter in parameters {
        query = match parameter {
            ValueRef::Null => query.bind(None::<i64>),
            ValueRef::Integer(value) => query.bind(*value),
            ValueRef::Real(value) => query.bind(*value),
            ValueRef::Text(bytes) => query.bind(std::str::from_utf8(bytes).map_err(rusqlite::Error::from)?),
            ValueRef::Blob(bytes) => query.bind(*bytes),
        };
    }
    Ok(query)
}

/// A value of a row; commits read integers and texts alone.
fn owned(row: &SqliteRow, index: usize) -> Result<Value, Problem> {
    let value = row.try_get_raw(index)?;
    if value.is_null() {
        return Ok(Value::Null);
    }
    Ok(match value.type_info().name() {
        "TEXT" => Value::Text(row.try_get(index)?),
        _ => Value::Integer(row.try_get(index)?),
    })
}

/// Does something in a transaction on one of the engine's connections, which is rolled back on an error.
pub(crate) fn in_transaction<T, E: From<Problem>>(
    connection: &mut rusqlite::Connection,
    begin: &'static str,
    body: impl FnOnce(&mut rusqlite::Connection) -> Result<T, E>,
) -> Result<T, E> {
    now(connection.execute(begin, &[]))?;
    let done = body(connection).and_then(|value| {
        now(connection.execute(statements::COMMIT, &[])).map_err(Problem::of_commit)?;
        Ok(value)
    });
    if done.is_err() {
        roll_back(connection);
    }
    done
}

/// Ends the transaction that is under way on one of the engine's connections, if there is one: SQLite has
/// ended it by itself after some errors.
pub(crate) fn roll_back(connection: &mut rusqlite::Connection) {
    if !connection.is_autocommit()
        && let Err(error) = now(connection.execute(statements::ROLLBACK, &[]))
    {
        tracing::error!(%error, "cannot roll back");
    }
}
