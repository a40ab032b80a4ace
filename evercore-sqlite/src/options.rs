//! How to open a store.

use std::{
    fmt, fs,
    num::NonZero,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use evercore::engine::EngineError;
use rusqlite::{Connection, OpenFlags};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};

use crate::{engine::SqliteEngine, error::Problem};

/// What a commit waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// The operating system has the commit. Nothing is lost when the process dies; when the machine
    /// loses power or its kernel crashes, the last commits before that may be missing, as if they had never been made. The
    /// database is whole in any case.
    #[default]
    Normal,
    /// The disk has the commit. Nothing is lost, as far as the disk keeps what it says; every commit waits for it.
    Full,
}

impl Synchronous {
    fn pragma(self) -> &'static str {
        match self {
            Self::Normal => "NORMAL",
            Self::Full => "FULL",
        }
    }
}

/// How to open a store; begin with [`SqliteEngine::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing is opened before `connect`"]
pub struct SqliteEngineBuilder {
    location: Result<Location, String>,
    settings: Settings,
}

impl SqliteEngineBuilder {
    pub(crate) fn new() -> Self {
        Self { location: Ok(Location::new_memory()), settings: Settings::default() }
    }

    /// In this file, which is created when it does not exist. Without a path or URL the store is in memory.
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        self.location = Ok(Location::File(path.as_ref().to_owned()));
        self
    }

    /// At this URL: `sqlite://app.db`, `sqlite:app.db`, `sqlite:///absolute/app.db`, or `sqlite::memory:`. With `?mode=ro`
    /// it is [read only](Self::read_only). A URL that is none is an error of [`connect`](Self::connect).
    pub fn url(mut self, url: &str) -> Self {
        let (address, query) = url.split_once('?').unwrap_or((url, ""));
        if query.split('&').any(|parameter| parameter == "mode=ro") {
            self.settings.access = Access::ReadOnly;
        }
        self.location = Location::from_url(address, query).ok_or_else(|| url.to_owned());
        self
    }

    /// What a commit waits for; [`Synchronous::Normal`] unless said otherwise.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.settings.synchronous = synchronous;
        self
    }

    /// How long to wait for a lock that another connection holds; 5 seconds unless said otherwise.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.settings.busy_timeout = timeout;
        self
    }

    /// How many threads read, each with a connection; unless said otherwise one for each processor, at most
    /// 4. An in-memory store has none: its one connection also reads.
    pub fn readers(mut self, count: NonZero<usize>) -> Self {
        self.settings.readers = count.get();
        self
    }

    /// Writes nothing, not even a schema: the store must be there.
    pub fn read_only(mut self) -> Self {
        self.settings.access = Access::ReadOnly;
        self
    }

    /// Leaves the schema alone until [`SqliteEngine::migrate`] is called, for applications that migrate in a step of
    /// their own. A newer schema is refused all the same.
    pub fn without_migration(mut self) -> Self {
        self.settings.migration = Migration::Manual;
        self
    }

    /// Lets the database grow to so many pages (of 4 KiB, unless it was created with others). A commit that needs more fails
    /// with [`EngineErrorKind::StorageFull`](evercore::engine::EngineErrorKind::StorageFull).
    pub fn max_pages(mut self, pages: NonZero<u32>) -> Self {
        self.settings.max_pages = Some(pages.get());
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or created, is not a SQLite database
    /// ([`Incompatible`](evercore::engine::EngineErrorKind::Incompatible)), was written by a newer version of the library (the
    /// same), or is locked.
    pub async fn connect(self) -> Result<SqliteEngine, EngineError> {
        let location = self.location.map_err(|url| Problem::Url(url).during("open the store"))?;
        SqliteEngine::open(Source { location, settings: self.settings }).await
    }
}

/// Where a store is and how its connections are set.
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
    max_pages: Option<u32>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            synchronous: Synchronous::default(),
            busy_timeout: Duration::from_secs(5),
            readers: thread::available_parallelism().map_or(1, NonZero::get).min(4),
            access: Access::ReadWrite,
            migration: Migration::OnConnect,
            max_pages: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadWrite,
    ReadOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Migration {
    OnConnect,
    Manual,
}

/// Where a store is.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Location {
    File(PathBuf),
    /// The name of a database of SQLite's `memdb`, which the connections of one process can share.
    Memory(String),
}

impl Location {
    fn new_memory() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        Self::Memory(format!("/evercore-{}", COUNT.fetch_add(1, Ordering::Relaxed)))
    }

    fn from_url(address: &str, query: &str) -> Option<Self> {
        let path = address.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        if path == ":memory:" || query.split('&').any(|parameter| parameter == "mode=memory") {
            return Some(Self::new_memory());
        }
        // The path is percent-decoded as sqlx does it.
        let options: SqliteConnectOptions = format!("sqlite://{path}").parse().ok()?;
        Some(options.get_filename()).filter(|path| !path.as_os_str().is_empty()).map(Self::file)
    }

    fn file(path: &Path) -> Self {
        Self::File(path.to_owned())
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
    /// Opens a connection that can write, and that creates the file when it does not exist.
    pub(crate) fn open_writer(&self) -> Result<Connection, Problem> {
        let connection = self.open()?;
        if self.settings.access == Access::ReadWrite {
            self.use_write_ahead_log(&connection)?;
            connection.pragma_update(None, "synchronous", self.settings.synchronous.pragma())?;
        }
        if let Some(pages) = self.settings.max_pages {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        Ok(connection)
    }

    /// Opens a connection that only reads.
    pub(crate) fn open_reader(&self) -> Result<Connection, Problem> {
        let connection = self.open()?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    fn open(&self) -> Result<Connection, Problem> {
        // A connection stays on its thread.
        let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags |= match self.settings.access {
            Access::ReadOnly => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::ReadWrite => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        };
        let connection = match &self.location {
            Location::File(path) if is_too_short(path) => return Err(Problem::NoDatabase(path.clone())),
            Location::File(path) => Connection::open_with_flags(path, flags)
                .map_err(|source| Problem::Open { path: path.clone(), source })?,
            Location::Memory(name) => {
                flags |= OpenFlags::SQLITE_OPEN_URI;
                Connection::open_with_flags(format!("file:{name}?vfs=memdb"), flags)?
            }
        };
        connection.busy_timeout(self.settings.busy_timeout)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.set_prepared_statement_cache_capacity(64);
        Ok(connection)
    }

    /// The mode is a property of the file. Two connections that change it at once are refused without the
    /// wait that the busy timeout grants elsewhere. A database in memory has no such log and says so.
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

    /// The same database for connections of the caller.
    pub(crate) fn sqlx_options(&self) -> SqliteConnectOptions {
        let options = SqliteConnectOptions::new()
            .busy_timeout(self.settings.busy_timeout)
            .foreign_keys(true)
            .synchronous(match self.settings.synchronous {
                Synchronous::Normal => SqliteSynchronous::Normal,
                Synchronous::Full => SqliteSynchronous::Full,
            });
        match (&self.location, self.settings.access) {
            (Location::Memory(name), _) => options.filename(name).vfs("memdb"),
            (Location::File(path), Access::ReadWrite) => {
                options.filename(path).journal_mode(SqliteJournalMode::Wal)
            }
            (Location::File(path), Access::ReadOnly) => options.filename(path).read_only(true),
        }
    }
}

/// SQLite takes a file that is shorter than its smallest page for a new database and overwrites it. An empty file is one.
fn is_too_short(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|file| (1..512).contains(&file.len()))
}
