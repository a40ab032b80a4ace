//! Opening, reopening and closing.

use std::{fs, num::NonZero, time::Duration};

use evercore::{
    AggregateId, Payload, Sequence,
    engine::{
        CommitError, EngineError, EngineErrorKind, EventFilter, StorageEngine, TransactionalEngine, TypeNames,
    },
};
use evercore_sqlite::{SqliteEngine, Synchronous};
use sqlx::SqlitePool;

use crate::fixtures::{Place, TestResult, append, create, define, key, load, log, names, new_id};

fn refused(opened: Result<SqliteEngine, EngineError>) -> EngineError {
    opened.expect_err("it does not open")
}

fn reason(error: &EngineError) -> String {
    std::error::Error::source(error).expect("a source").to_string()
}

#[tokio::test]
async fn everything_is_there_when_the_file_is_opened_again() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&create(types, id, "john")).await.expect("a commit");
    let before = load(&engine, id).await;
    let unused = engine.reserve_ids(10).await?;
    engine.close().await?;

    let engine = place.engine().await;
    assert_eq!(load(&engine, id).await, before);
    assert_eq!(engine.find_by_key(types.user, &key("john")).await?, Some(id));
    assert_eq!(engine.types().await?, engine.define_types(&names()).await?);
    assert_eq!(new_id(&engine).await, AggregateId::new(unused.first.get() + 10), "no id is handed out twice");
    Ok(())
}

// Whoever copies the file after `close` copies everything. Of two connections that close at the same moment neither is
// the last one, which empties the log: readers and writer once did that now and then.
#[tokio::test]
async fn after_closing_everything_is_in_the_file() -> TestResult {
    let readers = NonZero::new(2).ok_or("not zero")?;
    for round in 0..200 {
        let place = Place::new();
        let engine = SqliteEngine::builder().path(place.path()).readers(readers).connect().await?;
        let types = define(&engine).await;
        let id = new_id(&engine).await;
        engine.commit(&create(types, id, "john")).await.expect("a commit");
        // A connection is one of the file from its first read on.
        tokio::join!(load(&engine, id), load(&engine, id), load(&engine, id), load(&engine, id));
        engine.close().await?;
        assert!(!place.path().with_extension("db-wal").exists(), "round {round}");
    }
    Ok(())
}

#[tokio::test]
async fn the_last_handle_stops_the_threads() {
    let place = Place::new();
    let engine = place.engine().await;
    define(&engine).await;
    let mut listener = engine.watch();
    drop(engine);
    // The threads own the doorbell; the file's log is emptied when the last connection closes.
    let gone = tokio::time::timeout(Duration::from_secs(10), async {
        while place.path().with_extension("db-wal").exists() {
            tokio::task::yield_now().await;
        }
    });
    gone.await.expect("connections are closed");
    let rung = tokio::time::timeout(Duration::ZERO, listener.rung()).await;
    assert!(rung.is_err(), "nobody rings");
}

#[tokio::test]
async fn the_journal_is_as_promised() -> TestResult {
    for (synchronous, expected) in [(Synchronous::Normal, 1), (Synchronous::Full, 2)] {
        let place = Place::new();
        let engine = SqliteEngine::builder().path(place.path()).synchronous(synchronous).connect().await?;
        assert_eq!(place.shell().query_row("PRAGMA journal_mode", [], |row| row.get::<_, String>(0))?, "wal");
        let of_pool: i64 = sqlx::query_scalar("PRAGMA synchronous").fetch_one(engine.pool()).await?;
        assert_eq!(of_pool, expected);
        let foreign_keys: i64 = sqlx::query_scalar("PRAGMA foreign_keys").fetch_one(engine.pool()).await?;
        assert_eq!(foreign_keys, 1);
    }
    Ok(())
}

#[tokio::test]
async fn every_form_of_url_names_a_file() -> TestResult {
    let place = Place::new();
    let path = place.path().display().to_string();
    for url in [format!("sqlite://{path}"), format!("sqlite:{path}"), format!("sqlite://{path}?mode=rwc")] {
        let engine = SqliteEngine::connect(&url).await?;
        define(&engine).await;
        assert!(place.path().exists(), "{url}");
    }
    for url in ["postgres://localhost/app", "app.db", "sqlite:", "sqlite://", "sqlite://app.db?mod=ro"] {
        let error = refused(SqliteEngine::connect(url).await);
        assert_eq!(error.kind(), EngineErrorKind::Misconfigured);
        assert!(reason(&error).contains(url), "{error:?}");
    }
    refused(SqliteEngine::connect(&format!("sqlite://{path}.missing?mode=rw")).await);
    SqliteEngine::connect(&format!("sqlite://{path}.missing?mode=memory")).await?;
    assert!(!fs::exists(format!("{path}.missing"))?);
    Ok(())
}

#[tokio::test]
async fn stores_in_memory_are_apart() -> TestResult {
    let first = SqliteEngine::connect("sqlite::memory:").await?;
    let second = SqliteEngine::connect("sqlite://:memory:").await?;
    let third = SqliteEngine::builder().connect().await?;
    let types = define(&first).await;
    let id = new_id(&first).await;
    first.commit(&append(types, id, 0, 1)).await.expect("a commit");
    assert_eq!(log(&first, EventFilter::default()).await.len(), 1);
    for other in [second, third] {
        define(&other).await;
        assert_eq!(log(&other, EventFilter::default()).await, []);
        assert_eq!(new_id(&other).await, id);
    }
    Ok(())
}

#[tokio::test]
async fn a_newer_schema_is_refused() -> TestResult {
    let place = Place::new();
    place.engine().await.close().await?;
    place.shell().execute("INSERT INTO evercore_migrations (version, name) VALUES (1000, 'later')", [])?;
    let error = refused(SqliteEngine::connect(&place.url()).await);
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    assert_eq!(
        reason(&error),
        "the schema has version 1000, this version of the library knows those up to 2"
    );
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() -> TestResult {
    for content in [
        "x",
        "This is a text of some length, not a database, and it stays what it is.\n".repeat(200).as_str(),
    ] {
        let place = Place::new();
        fs::write(place.path(), content)?;
        let error = refused(SqliteEngine::connect(&place.url()).await);
        assert_eq!(error.kind(), EngineErrorKind::Incompatible, "{error:?}");
        assert_eq!(fs::read_to_string(place.path())?, content);
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_is_named() {
    let error = refused(SqliteEngine::connect("sqlite:///no/such/directory/app.db").await);
    assert_eq!(error.kind(), EngineErrorKind::Other);
    assert_eq!(error.to_string(), "sqlite cannot open the store");
    assert_eq!(reason(&error), "cannot open \"/no/such/directory/app.db\"");
    let shown = format!("{error:?}");
    assert!(
        shown.starts_with(&format!("{error}: {}: unable to open database file", reason(&error))),
        "{shown}"
    );
}

#[tokio::test]
async fn a_directory_is_not_taken_for_a_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = refused(SqliteEngine::builder().path(directory.path()).connect().await);
    assert_eq!(error.kind(), EngineErrorKind::Misconfigured);
    assert_eq!(error.to_string(), "sqlite cannot open the store: it is not configured correctly");
    assert_eq!(reason(&error), format!("{:?} is a directory", directory.path()));
}

#[tokio::test]
async fn a_store_can_be_opened_for_reading_alone() -> TestResult {
    let place = Place::new();
    let read_only = format!("{}?mode=ro", place.url());
    refused(SqliteEngine::connect(&read_only).await);
    assert!(!place.path().exists());

    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&append(types, id, 0, 1)).await.expect("a commit");
    engine.close().await?;

    let engine = SqliteEngine::connect(&read_only).await?;
    assert_eq!(load(&engine, id).await.expect("it exists").version, Sequence::new(1));
    assert_eq!(engine.define_types(&names()).await?, engine.types().await?);
    let unknown = TypeNames { aggregates: vec!["other".into()], events: vec![] };
    let failures = [
        engine.define_types(&unknown).await.expect_err("nothing is defined"),
        engine.reserve_ids(1).await.expect_err("nothing is reserved"),
        engine.begin().await.expect_err("nothing is begun"),
        match engine.commit(&append(types, id, 1, 1)).await {
            Err(CommitError::Engine(error)) => error,
            other => panic!("nothing is written: {other:?}"),
        },
    ];
    for error in failures {
        assert_eq!(error.kind(), EngineErrorKind::ReadOnly, "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_application_may_migrate_by_itself() -> TestResult {
    let place = Place::new();
    let engine = SqliteEngine::builder().path(place.path()).without_migration().connect().await?;
    assert!(engine.types().await.is_err());
    engine.migrate().await?;
    engine.migrate().await?;
    define(&engine).await;
    Ok(())
}

#[tokio::test]
async fn a_half_made_migration_leaves_nothing() -> TestResult {
    let place = Place::new();
    // A table of the application stands in the way of the last step.
    place.shell().execute("CREATE TABLE evercore_snapshots (mine)", [])?;
    refused(SqliteEngine::connect(&place.url()).await);
    let tables: i64 = place.shell().query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    assert_eq!(tables, 1);
    place.shell().execute("DROP TABLE evercore_snapshots", [])?;
    define(&place.engine().await).await;
    Ok(())
}

#[tokio::test]
async fn a_pool_of_the_application_is_used() -> TestResult {
    let place = Place::new();
    let pool = SqlitePool::connect(&format!("{}?mode=rwc", place.url())).await?;
    let engine = SqliteEngine::from_pool(pool.clone()).await?;
    // SQLite's own default, which the pool has not changed.
    assert!(format!("{engine:?}").contains("synchronous: Full"), "{engine:?}");
    let types = define(&engine).await;
    let mut transaction = engine.begin().await?;
    let id = new_id_in(&mut transaction).await?;
    engine.commit_in(&append(types, id, 0, 1), &mut transaction).await.expect("a commit");
    engine.finish(transaction).await?;
    assert!(load(&engine, id).await.is_some());
    engine.close().await?;
    sqlx::query("SELECT 1").execute(&pool).await?;
    Ok(())
}

/// The engine would wait for the transaction, which holds the lock.
async fn new_id_in(
    transaction: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
) -> Result<AggregateId, sqlx::Error> {
    let sql = "UPDATE evercore_next_aggregate_id SET id = id + 1 RETURNING id - 1";
    sqlx::query_scalar(sql).fetch_one(&mut **transaction).await.map(AggregateId::new)
}

#[tokio::test]
async fn a_pool_in_memory_cannot_be_shared() -> TestResult {
    let pool = SqlitePool::connect("sqlite::memory:").await?;
    let error = refused(SqliteEngine::from_pool(pool).await);
    assert_eq!(error.kind(), EngineErrorKind::Unsupported);
    Ok(())
}

#[tokio::test]
async fn a_closed_engine_says_so() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    engine.close().await?;
    engine.close().await?;
    let failures = [
        engine.head().await.expect_err("closed"),
        engine.reserve_ids(1).await.expect_err("closed"),
        engine.begin().await.expect_err("closed"),
        match engine.commit(&append(types, AggregateId::new(1), 0, 1)).await {
            Err(CommitError::Engine(error)) => error,
            other => panic!("closed: {other:?}"),
        },
    ];
    for error in failures {
        assert_eq!(error.kind(), EngineErrorKind::Closed, "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn what_is_under_way_is_finished_before_closing() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let changes = append(types, id, 0, 5_000);
    let (committed, closed) = tokio::join!(biased; engine.commit(&changes), engine.close());
    committed.expect("a commit");
    closed?;
    assert_eq!(log(&place.engine().await, EventFilter::default()).await.len(), 5_000);
    Ok(())
}

#[tokio::test]
async fn a_full_disk_is_a_typed_error_and_committed_data_stays() -> TestResult {
    let place = Place::new();
    let pages = NonZero::new(200).expect("not zero");
    let engine = SqliteEngine::builder().path(place.path()).max_pages(pages).connect().await?;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut version = 0;
    let error = loop {
        match engine.commit(&append(types, id, version, 100)).await {
            Ok(_) => version += 100,
            Err(CommitError::Engine(error)) => break error,
            Err(other) => panic!("{other:?}"),
        }
        assert!(version < 100_000, "the limit is never reached");
    };
    assert_eq!(error.kind(), EngineErrorKind::StorageFull);
    assert!(version > 0);
    let loaded = load(&engine, id).await.expect("it exists");
    assert_eq!((loaded.version.get(), loaded.events.len()), (version, usize::try_from(version)?));
    drop(engine);

    let engine = place.engine().await;
    engine.commit(&append(types, id, version, 100)).await.expect("with more room it goes on");
    Ok(())
}

#[tokio::test]
async fn debug_names_the_place() {
    let place = Place::new();
    let engine = place.engine().await;
    assert!(format!("{engine:?}").contains("app.db"));
}

// Ids of a block whose reservation was rolled back would be handed out again.
#[tokio::test]
async fn ids_are_handed_out_when_that_is_written() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let first = new_id(&engine).await;
    place.shell().execute_batch(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY);
         CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);
         CREATE TRIGGER refused_at_the_end AFTER UPDATE ON evercore_next_aggregate_id
         BEGIN INSERT INTO children VALUES (7); END",
    )?;
    engine.reserve_ids(1).await.expect_err("it cannot be committed");
    place.shell().execute("DROP TRIGGER refused_at_the_end", [])?;
    assert_eq!(new_id(&engine).await.get(), first.get() + 1);
    Ok(())
}

#[tokio::test]
async fn a_path_means_what_it_says() -> TestResult {
    for name in ["with space.db", "100%25.db", "a?mode=memory", "a#b.db", "file:uri.db", "-wal", "größe.db"]
    {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join(name);
        let encoded = path.display().to_string().replace('%', "%25").replace('?', "%3F");
        for opened in [
            SqliteEngine::builder().path(&path).connect().await,
            SqliteEngine::connect(&format!("sqlite://{encoded}")).await,
        ] {
            let engine = opened?;
            let types = define(&engine).await;
            let id = new_id(&engine).await;
            let mut transaction = engine.begin().await?;
            engine.commit_in(&append(types, id, 0, 1), &mut transaction).await.expect("written");
            engine.finish(transaction).await?;
            assert!(load(&engine, id).await.is_some());
            engine.close().await?;
        }
        let files: Vec<_> = fs::read_dir(directory.path())?
            .map(|file| Ok(file?.file_name()))
            .collect::<Result<_, std::io::Error>>()?;
        assert_eq!(files, [name], "nothing else is created");
    }
    Ok(())
}

#[tokio::test]
async fn a_path_may_name_the_memory() -> TestResult {
    let engine = SqliteEngine::builder().path(":memory:").connect().await?;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    engine.commit(&append(types, id, 0, 1)).await.expect("a commit");
    assert!(load(&engine, id).await.is_some());
    refused(SqliteEngine::builder().path("").connect().await);
    Ok(())
}

#[cfg(unix)]
#[tokio::test]
async fn a_path_that_is_not_unicode_is_refused() -> TestResult {
    use std::os::unix::ffi::OsStrExt as _;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join(std::ffi::OsStr::from_bytes(b"\xff.db"));
    let error = refused(SqliteEngine::builder().path(path).connect().await);
    assert_eq!(error.kind(), EngineErrorKind::Misconfigured, "{error:?}");
    assert_eq!(fs::read_dir(directory.path())?.count(), 0);
    Ok(())
}

#[tokio::test]
async fn read_only_stays_read_only_whatever_comes_after() -> TestResult {
    let place = Place::new();
    let read_only = SqliteEngine::builder().read_only();
    refused(read_only.clone().url(&place.url()).connect().await);
    refused(read_only.clone().path(place.path()).connect().await);
    assert!(!place.path().exists());
    read_only.url(&format!("{}?mode=rwc", place.url())).connect().await?;
    Ok(())
}

#[tokio::test]
async fn a_wait_may_be_without_end() -> TestResult {
    let place = Place::new();
    let engine = SqliteEngine::builder().path(place.path()).busy_timeout(Duration::MAX).connect().await?;
    define(&engine).await;
    engine.begin().await?.rollback().await?;
    Ok(())
}

// In UTF-16 some characters become others, and two keys one.
#[tokio::test]
async fn a_database_of_another_encoding_is_refused() -> TestResult {
    let place = Place::new();
    place.shell().execute_batch("PRAGMA encoding = 'UTF-16'; CREATE TABLE mine (a)")?;
    let error = refused(SqliteEngine::connect(&place.url()).await);
    assert_eq!(error.kind(), EngineErrorKind::Incompatible);
    assert_eq!(reason(&error), "the database keeps texts in UTF-16le, a store needs UTF-8");
    Ok(())
}

#[tokio::test]
async fn the_write_ahead_log_shrinks_again() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let reader = place.shell();
    reader.execute_batch("BEGIN; SELECT count(*) FROM evercore_events")?;
    let id = new_id(&engine).await;
    let mut changes = append(types, id, 0, 1);
    changes.events[0].payload = Payload::encode(&"x".repeat(40_000_000))?;
    engine.commit(&changes).await.expect("a commit");
    let size = || fs::metadata(place.path().with_extension("db-wal")).map(|file| file.len());
    assert!(size()? > 40_000_000);

    reader.execute_batch("COMMIT")?;
    for version in 1..=3 {
        engine.commit(&append(types, id, version, 1)).await.expect("a commit");
    }
    assert!(size()? <= 16 << 20, "{}", size()?);
    Ok(())
}
