//! Where a store is, and how connections to it are made.

use std::{
    fmt, fs,
    num::NonZero,
    path::{self, Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use crate::{checkpoint, error::Problem, options::Synchronous};

/// SQLite's name for a database without a file.
const IN_MEMORY: &str = ":memory:";

/// So much of the write-ahead log is kept when it begins anew; it had to be longer while somebody read for long.
const LOG_BYTES_KEPT: u32 = 16 << 20;

/// The database, and what its connections are like.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) location: Location,
    pub(crate) settings: Settings,
}

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) synchronous: Synchronous,
    pub(crate) busy_timeout: Duration,
    pub(crate) readers: usize,
    pub(crate) access: Access,
    pub(crate) migration: Migration,
    pub(crate) max_pages: Option<u32>,
}

impl Settings {
    /// With the level of `synchronous` and the busy timeout in milliseconds of another connection.
    pub(crate) fn like((synchronous, busy_timeout): (i64, i64)) -> Self {
        const FULL: i64 = 2;
        Self {
            synchronous: if synchronous < FULL { Synchronous::Normal } else { Synchronous::Full },
            busy_timeout: Duration::from_millis(busy_timeout.try_into().unwrap_or(0)),
            ..Self::default()
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::default(),
            busy_timeout: Duration::from_secs(5),
            readers: thread::available_parallelism().map_or(1, NonZero::get).min(4),
            access: Access::Create,
            migration: Migration::OnConnect,
            max_pages: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Reads and writes; creates the file when it does not exist.
    Create,
    /// Reads and writes a file that exists.
    Existing,
    /// Writes nothing.
    ReadOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Migration {
    OnConnect,
    Manual,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// At an absolute path: some names mean something else to SQLite, and the working directory may change.
    File(PathBuf),
    /// In memory, told apart by a number.
    Memory(u32),
}

impl Location {
    /// A database in memory that is not there yet.
    pub(crate) fn new_memory() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        Self::Memory(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// What a path names; `None` when it is empty, or not Unicode, which SQLite's names are.
    pub(crate) fn from_path(path: &Path) -> Option<Self> {
        match path.to_str()? {
            IN_MEMORY => Some(Self::new_memory()),
            path => path::absolute(path).ok().map(Self::File),
        }
    }

    /// What a URL names, and how it wants that to be opened; `None` when it is not one of SQLite, or says
    /// what is not understood.
    pub(crate) fn from_url(url: &str) -> Option<(Self, Option<Access>)> {
        let url = url.strip_prefix("sqlite:")?;
        let (path, mode) = match url.split_once('?') {
            Some((path, parameters)) => (path, Some(parameters.strip_prefix("mode=")?)),
            None => (url, None),
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        let access = match mode {
            None => None,
            Some("rwc") => Some(Access::Create),
            Some("rw") => Some(Access::Existing),
            Some("ro") => Some(Access::ReadOnly),
            Some("memory") => return Some((Self::new_memory(), None)),
            Some(_) => return None,
        };
        if path == IN_MEMORY {
            return Some((Self::new_memory(), None));
        }
        // sqlx undoes the percent encoding.
        let options: SqliteConnectOptions = format!("sqlite://{path}").parse().ok()?;
        Some((Self::File(path::absolute(options.get_filename()).ok()?), access))
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Memory(_) => f.write_str("in memory"),
        }
    }
}

impl Source {
    /// Opens a connection that can write.
    pub(crate) fn open_writer(&self) -> Result<Connection, Problem> {
        let connection = self.open()?;
        if self.settings.access != Access::ReadOnly {
            self.use_write_ahead_log(&connection)?;
            let synchronous = match self.settings.synchronous {
                Synchronous::Normal => "NORMAL",
                Synchronous::Full => "FULL",
            };
            connection.pragma_update(None, "synchronous", synchronous)?;
            connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES_KEPT, |_| Ok(()))?;
            checkpoint::by_hand(&connection);
        }
        check_encoding(&connection)?;
        if let Location::Memory(number) = self.location {
            connection.pragma_update(None, "application_id", number)?;
        }
        if let Some(pages) = self.settings.max_pages {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        Ok(connection)
    }

    /// Opens a connection that only reads. It could write, so that the last one to close, whichever it is,
    /// can empty the write-ahead log.
    pub(crate) fn open_reader(&self) -> Result<Connection, Problem> {
        let connection = self.open()?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    fn open(&self) -> Result<Connection, Problem> {
        // No mutex: a connection stays on its thread.
        let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
            | match self.settings.access {
                Access::Create => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
                Access::Existing => OpenFlags::SQLITE_OPEN_READ_WRITE,
                Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
            };
        let connection = match &self.location {
            Location::File(path) if path.is_dir() => return Err(Problem::Directory(path.clone())),
            Location::File(path) if is_too_short(path) => return Err(Problem::NoDatabase(path.clone())),
            Location::File(path) => Connection::open_with_flags(path, flags)
                .map_err(|source| Problem::Open { path: path.clone(), source })?,
            Location::Memory(number) => {
                let uri = format!("file:{}?vfs=memdb", memory_name(*number));
                Connection::open_with_flags(uri, flags | OpenFlags::SQLITE_OPEN_URI)?
            }
        };
        connection.busy_timeout(self.settings.busy_timeout)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    /// The journal mode is a property of the file. When two connections change it at once, one is refused
    /// without the wait that the busy timeout grants elsewhere. A database in memory has no log and keeps
    /// its mode.
    #[expect(clippy::disallowed_methods, reason = "the thread is the connection's own")]
    fn use_write_ahead_log(&self, connection: &Connection) -> Result<(), Problem> {
        let deadline = Instant::now() + self.settings.busy_timeout;
        loop {
            let changed = connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()));
            match changed.map_err(Problem::from) {
                Err(problem) if problem.is_busy() && Instant::now() < deadline => {
                    thread::sleep(Duration::from_millis(5));
                }
                changed => return changed,
            }
        }
    }

    /// The same database, with the same settings, for connections of the application.
    pub(crate) fn sqlx_options(&self) -> SqliteConnectOptions {
        let mut options = SqliteConnectOptions::new()
            .busy_timeout(self.settings.busy_timeout)
            .foreign_keys(true)
            .synchronous(match self.settings.synchronous {
                Synchronous::Normal => SqliteSynchronous::Normal,
                Synchronous::Full => SqliteSynchronous::Full,
            });
        if let Some(pages) = self.settings.max_pages {
            options = options.pragma("max_page_count", pages.to_string());
        }
        match (&self.location, self.settings.access) {
            (Location::Memory(number), _) => options.filename(memory_name(*number)).vfs("memdb"),
            (Location::File(path), Access::ReadOnly) => options.filename(path).read_only(true),
            (Location::File(path), _) => options.filename(path).journal_mode(SqliteJournalMode::Wal),
        }
    }
}

/// In UTF-16 SQLite replaces some characters, which would make two keys one.
fn check_encoding(connection: &Connection) -> Result<(), Problem> {
    match connection.pragma_query_value(None, "encoding", |row| row.get::<_, String>(0))? {
        encoding if encoding == "UTF-8" => Ok(()),
        encoding => Err(Problem::Encoding(encoding)),
    }
}

/// All connections of one process can open a database of SQLite's `memdb` whose name begins with a slash.
fn memory_name(number: u32) -> String {
    format!("/evercore-{number}")
}

/// SQLite takes a file that is shorter than its smallest page for a new database, and overwrites it. Only an
/// empty file is one.
fn is_too_short(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| (1..512).contains(&file.len()))
}

#[cfg(test)]
mod tests {
    use std::{
        error::Error,
        time::{Duration, Instant},
    };

    use rusqlite::Connection;

    use super::{Location, Settings, Source, Synchronous};

    type TestResult = Result<(), Box<dyn Error>>;

    fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, name, |row| row.get(0))
    }

    #[test]
    fn a_path_does_not_follow_the_working_directory() {
        for location in
            [Location::from_path("a.db".as_ref()), place("sqlite://a.db"), place("sqlite:b/../a.db")]
        {
            assert!(matches!(location, Some(Location::File(path)) if path.is_absolute()));
        }
    }

    fn place(url: &str) -> Option<Location> {
        Location::from_url(url).map(|(location, _)| location)
    }

    #[test]
    fn connections_are_set_as_asked() -> TestResult {
        for (synchronous, level) in [(Synchronous::Normal, 1), (Synchronous::Full, 2)] {
            let directory = tempfile::tempdir()?;
            let busy_timeout = Duration::from_millis(1234);
            let settings = Settings { synchronous, busy_timeout, ..Settings::default() };
            let source = Source { location: Location::File(directory.path().join("app.db")), settings };
            let (writer, reader) = (source.open_writer()?, source.open_reader()?);
            assert_eq!(pragma(&writer, "synchronous")?, level);
            for connection in [&writer, &reader] {
                assert_eq!(pragma(connection, "busy_timeout")?, 1234);
                assert_eq!(pragma(connection, "foreign_keys")?, 1);
            }
            assert!(writer.execute("CREATE TABLE a (a)", []).is_ok());
            assert!(reader.execute("CREATE TABLE b (b)", []).is_err());
        }
        Ok(())
    }

    #[test]
    fn a_lock_is_waited_for_when_the_journal_mode_changes() -> TestResult {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("app.db");
        let stranger = Connection::open(&path)?;
        stranger.execute_batch("CREATE TABLE a (a); BEGIN; SELECT * FROM a")?;
        let busy_timeout = Duration::from_millis(30);
        let settings = Settings { busy_timeout, ..Settings::default() };
        let source = Source { location: Location::File(path), settings };
        let start = Instant::now();
        let refused = source.open_writer().expect_err("it is locked");
        assert!(refused.is_busy() && start.elapsed() >= busy_timeout, "{refused:?}");
        stranger.execute_batch("COMMIT")?;
        source.open_writer()?;
        Ok(())
    }
}
