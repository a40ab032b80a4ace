//! The schema that holds the tables, whose name goes into every statement.

use std::fmt;

use sqlx::{AssertSqlSafe, SqlSafeStr as _, SqlStr};

use crate::error::Problem;

/// The name of a schema: letters, digits and underscores. What stands in it needs no escaping anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Schema(String);

impl Schema {
    /// The longest name: PostgreSQL cuts longer ones off.
    const MAX_BYTES: usize = 63;

    pub(crate) fn new(name: &str) -> Result<Self, Problem> {
        let fits = name.len() <= Self::MAX_BYTES && !name.starts_with("pg_");
        let begins = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        if fits && begins && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Ok(Self(name.to_owned()));
        }
        Err(Problem::SchemaName(name.to_owned()))
    }

    /// The text of a statement, in which `{schema}` stands for the name.
    pub(crate) fn text(&self, template: &str) -> String {
        template.replace("{schema}", &format!("\"{}\"", self.0))
    }

    /// The same, to be run.
    pub(crate) fn statement(&self, template: &str) -> SqlStr {
        AssertSqlSafe(std::sync::Arc::<str>::from(self.text(template))).into_sql_str()
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Default for Schema {
    fn default() -> Self {
        Self("evercore".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Schema;

    #[test]
    fn names_that_need_no_escaping_are_taken() {
        for name in ["evercore", "_a1", "Orders_2", &"x".repeat(63)] {
            let schema = Schema::new(name).expect("a name");
            assert_eq!(schema.text("SELECT {schema}.f()"), format!("SELECT \"{name}\".f()"));
        }
    }

    #[test]
    fn all_others_are_refused() {
        for name in ["", "1a", "a-b", "a\"b", "a'b", "a b", "pg_own", "é", "{schema}", &"x".repeat(64)] {
            assert!(Schema::new(name).is_err(), "{name}");
        }
    }
}
