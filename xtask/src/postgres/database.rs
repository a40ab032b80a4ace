//! A database for one test.

use std::{process::Command, thread};

use super::{Server, account::without_defaults, home::random, supervisor::run, url::without_password};
use crate::Result;

/// A database of its own on a server. When it is dropped, the database is removed, with all connections to it; but when
/// that is because a test failed, it is kept and its URL is printed.
#[derive(Debug)]
pub struct Database {
    pub(super) server: Server,
    pub(super) name: String,
}

impl Database {
    pub(super) fn create(server: &Server) -> Result<Self> {
        let database = Self { server: server.clone(), name: format!("evercore_test_{:016x}", random()) };
        // The template that nobody can be connected to.
        server.execute(&format!("CREATE DATABASE {} TEMPLATE template0", database.name))?;
        Ok(database)
    }

    /// How a client connects to it, over TCP, as one who may do everything.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.url.clone().with_database(&self.name).to_string()
    }

    /// How another role connects to it. Role and password must consist of letters and digits.
    #[must_use]
    pub fn url_as(&self, role: &str, password: &str) -> String {
        self.server.url.clone().with_database(&self.name).with_account(role, password).to_string()
    }

    /// A schema of it, as statements that any client can run on an empty database of the same version or a later one.
    ///
    /// # Errors
    ///
    /// When `pg_dump` is missing beside `psql`, or is older than the server.
    pub fn dump(&self, schema: &str) -> Result<String> {
        let mut pg_dump = Command::new(self.server.psql.with_file_name("pg_dump"));
        without_defaults(&mut pg_dump);
        pg_dump.args(["--no-password", "--no-owner", "--no-privileges", "--inserts", "--schema", schema]);
        let dump = run(pg_dump.args(["--dbname", &self.url()]))?;
        // What only `psql` understands, a setting that older servers do not have, and where the dump was made.
        let special = ["\\", "SET transaction_timeout", "-- Dumped "];
        let is_for_all = |line: &&str| !special.iter().any(|start| line.starts_with(start));
        Ok(dump.lines().filter(is_for_all).flat_map(|line| [line, "\n"]).collect())
    }

    /// What it is called on its server.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the database of this test is kept: {}", without_password(&self.url()));
            if self.server.throwaway.is_some() {
                eprintln!(
                    "it goes with its server; run `cargo xtask db start` and the test again to look at it at leisure"
                );
            }
            return;
        }
        if let Err(failure) =
            self.server.execute(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name))
        {
            eprintln!("the database of this test is left over: {failure}");
        }
    }
}

impl Server {
    /// Runs one statement as the one who creates databases.
    fn execute(&self, statement: &str) -> Result<String> {
        let mut psql = Command::new(&self.psql);
        without_defaults(&mut psql);
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--no-password",
            "--dbname",
            &self.connection,
            "--command",
            statement,
        ]);
        run(&mut psql)
    }
}
