//! How to open a store.

use std::{num::NonZero, path::Path, time::Duration};

use evercore::engine::EngineError;

use crate::{
    engine::SqliteEngine,
    error::Problem,
    source::{Access, Location, Migration, Settings, Source},
};

/// What a commit waits for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Synchronous {
    /// The operating system has the commit. Nothing is lost when the process dies. When the machine loses
    /// power or its kernel crashes, the last commits before that may be missing, as if they had never been
    /// made; the database is whole in any case.
    #[default]
    Normal,
    /// The disk has the commit, and every commit waits for it. Nothing is lost, as far as the disk keeps
    /// what it says it has.
    Full,
}

/// How to open a store; begin with [`SqliteEngine::builder`].
///
/// ```
/// use evercore_sqlite::{SqliteEngine, Synchronous};
///
/// # async fn open() -> Result<(), evercore::engine::EngineError> {
/// let engine =
///     SqliteEngine::builder().path("app.db").synchronous(Synchronous::Full).connect().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing is opened before `connect`"]
pub struct SqliteEngineBuilder {
    /// The location, or a URL or path that is none.
    location: Result<Location, String>,
    settings: Settings,
}

impl SqliteEngineBuilder {
    pub(crate) fn new() -> Self {
        Self { location: Ok(Location::new_memory()), settings: Settings::default() }
    }

    /// In this file, which is created when it does not exist. Without a path or a URL the store is in memory,
    /// as with the path `:memory:`. A relative path is one from the working directory of this moment.
    pub fn path(mut self, path: impl AsRef<Path>) -> Self {
        let path = path.as_ref();
        self.location = Location::from_path(path).ok_or_else(|| path.display().to_string());
        self
    }

    /// At this URL: `sqlite://app.db`, `sqlite:app.db`, `sqlite:///absolute/app.db` or `sqlite::memory:`.
    ///
    /// `?mode=rw` opens a file that exists, `?mode=ro` opens it [read only](Self::read_only), `?mode=memory` is
    /// in memory, and `?mode=rwc` opens it for writing and creates it when it does not exist, as without a mode
    /// and without [`read_only`](Self::read_only). Other parameters, and URLs of other forms, are an error of
    /// [`connect`](Self::connect).
    pub fn url(mut self, url: &str) -> Self {
        match Location::from_url(url) {
            Some((location, access)) => {
                self.location = Ok(location);
                self.settings.access = access.unwrap_or(self.settings.access);
            }
            None => self.location = Err(url.to_owned()),
        }
        self
    }

    /// What a commit waits for; [`Synchronous::Normal`] unless said otherwise.
    pub fn synchronous(mut self, synchronous: Synchronous) -> Self {
        self.settings.synchronous = synchronous;
        self
    }

    /// How long to wait for a lock that another connection holds; 5 seconds unless said otherwise, and 24 days
    /// at most.
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        // SQLite counts milliseconds in 32 bits.
        self.settings.busy_timeout = timeout.min(Duration::from_millis(i32::MAX.unsigned_abs().into()));
        self
    }

    /// How many threads read, each with a connection; unless said otherwise one for each processor, at most
    /// 4. A store in memory has none: its one connection also reads.
    pub fn readers(mut self, count: NonZero<usize>) -> Self {
        self.settings.readers = count.get();
        self
    }

    /// Writes nothing, not even a schema: the store must be there, and all types be defined. SQLite keeps two
    /// files beside the database while it is open, so the directory has to be writable all the same.
    pub fn read_only(mut self) -> Self {
        self.settings.access = Access::ReadOnly;
        self
    }

    /// Leaves the schema alone until [`SqliteEngine::migrate`] is called, for applications that migrate in a
    /// step of their own. A newer schema is refused all the same.
    pub fn without_migration(mut self) -> Self {
        self.settings.migration = Migration::Manual;
        self
    }

    /// Lets the database grow to so many pages, of 4 KiB unless the file was made with others. What needs
    /// more fails with [`StorageFull`](evercore::engine::EngineErrorKind::StorageFull).
    pub fn max_pages(mut self, pages: NonZero<u32>) -> Self {
        self.settings.max_pages = Some(pages.get());
        self
    }

    /// Opens the store.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](evercore::engine::EngineErrorKind::Misconfigured) when the URL is not one of SQLite, or
    /// the path is a directory;
    /// [`Incompatible`](evercore::engine::EngineErrorKind::Incompatible) when the file is not a SQLite
    /// database, or was written by a newer version of the library;
    /// [`Busy`](evercore::engine::EngineErrorKind::Busy) when it stays locked; and when it cannot be opened,
    /// created or migrated.
    pub async fn connect(self) -> Result<SqliteEngine, EngineError> {
        let location = self.location.map_err(|place| Problem::NoPlace(place).during("open the store"))?;
        SqliteEngine::open(Source { location, settings: self.settings }).await
    }
}
