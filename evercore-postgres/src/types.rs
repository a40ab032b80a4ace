//! Names of types and the numbers that stand for them.

use std::collections::HashSet;

use evercore::{
    AggregateTypeId, EventTypeId,
    engine::{TypeCatalog, TypeNames},
};
use sqlx::{Row as _, postgres::PgRow};

use crate::{connections::Connections, error::Problem, statements::Statements};

/// All types.
pub(crate) async fn all(connections: &Connections, statements: &Statements) -> Result<TypeCatalog, Problem> {
    catalog(&connections.fetch(statements, statements.types()).await?)
}

/// Defines the names that are not known yet and returns all types. Where all are known nothing is written,
/// so that a store that cannot be written to can be opened.
pub(crate) async fn define(
    connections: &Connections,
    statements: &Statements,
    names: &TypeNames,
) -> Result<TypeCatalog, Problem> {
    let known = all(connections, statements).await?;
    let aggregates = unknown(&known.aggregates, &names.aggregates);
    let events = unknown(&known.events, &names.events);
    if aggregates.is_empty() && events.is_empty() {
        return Ok(known);
    }
    connections.write(statements, || statements.define_types(&aggregates, &events)).await?;
    all(connections, statements).await
}

fn catalog(rows: &[PgRow]) -> Result<TypeCatalog, Problem> {
    let mut catalog = TypeCatalog::default();
    for row in rows {
        let (id, name) = (i64::from(row.try_get::<i32, _>("id")?), row.try_get("name")?);
        match row.try_get("is_aggregate")? {
            true => catalog.aggregates.push((AggregateTypeId::new(id), name)),
            false => catalog.events.push((EventTypeId::new(id), name)),
        }
    }
    Ok(catalog)
}

fn unknown<'a, Id>(known: &[(Id, String)], names: &'a [String]) -> Vec<&'a str> {
    let known: HashSet<_> = known.iter().map(|(_, name)| name).collect();
    names.iter().filter(|name| !known.contains(name)).map(String::as_str).collect()
}
