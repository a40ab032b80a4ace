//! Servers that have lost events which were read.

use std::{
    error::Error as _,
    sync::{Arc, Mutex},
};

use evercore::{
    AggregateId, Position,
    engine::{EngineErrorKind, EventFilter, LogRead, StorageEngine, Timestamp},
};
use evercore_postgres::PostgresEngine;
use sqlx::{Connection as _, PgConnection};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    fixtures::{Place, TestResult, Types, append, commit_new, define, log, log_after, new_id, run},
    servers::{blocking, place_on, private, standby_of, url_on},
};

/// A page after a position, with and without a filter that lets everything through.
fn pages(types: Types, after: i64) -> [LogRead; 2] {
    let some = EventFilter { aggregate_types: Some([types.user].into()), ..EventFilter::default() };
    [EventFilter::default(), some].map(|filter| LogRead { filter, after: Position::new(after), limit: 100 })
}

/// What reading fails with, in every way.
async fn failures(engine: &PostgresEngine, types: Types, after: i64) -> Vec<evercore::engine::EngineError> {
    let mut errors = Vec::new();
    for read in pages(types, after) {
        errors.extend(engine.read_log(&read).await.err());
    }
    errors.extend(engine.head().await.err());
    errors.extend(engine.locate(Timestamp::now()).await.err());
    errors
}

fn all_say_rewound(errors: &[evercore::engine::EngineError]) {
    assert_eq!(errors.len(), 4, "all of them fail: {errors:?}");
    for error in errors {
        assert_eq!(error.kind(), EngineErrorKind::LogRewound, "{error:?}");
        assert!(!error.is_temporary());
    }
}

/// The tail of the log was lost, and it grew past its old end with other events.
#[tokio::test]
async fn a_log_that_grew_again_with_other_events_is_not_read_on() -> TestResult {
    // Behind a pooler the connection stays, and leads to another server.
    for breaks in [true, false] {
        for way in 0..4 {
            let place = Place::new().await;
            let (writer, reader) = (place.engine().await, place.engine().await);
            let types = define(&writer).await;
            commit_new(&writer, types, 5).await;
            // However the last event became known.
            match way {
                0 => drop(reader.head().await?),
                1 => drop(log(&reader).await),
                2 => drop(log_after(&reader, pages(types, 0)[1].filter.clone(), Position::START, 9).await),
                // From the middle: what is before may not be settled.
                _ => drop(log_after(&reader, EventFilter::default(), Position::new(4), 9).await),
            }
            let mut session = place.session().await;
            run(
                &mut session,
                "CREATE TABLE lost AS SELECT * FROM evercore.events WHERE position = 5;
                DELETE FROM evercore.events WHERE position > 2; SELECT setval('evercore.events_position', 2)",
            )
            .await;
            if breaks {
                run(&mut session, crate::failures::END_SESSIONS).await;
                for engine in [&writer, &reader] {
                    while engine.types().await.is_err() {}
                }
            }
            let other = new_id(&writer).await;
            writer.commit(&append(types, other, 0, 8)).await.expect("a commit");

            let errors = failures(&reader, types, 5).await;
            all_say_rewound(&errors);
            let reason = errors[0].source().ok_or("a source")?.to_string();
            assert!(
                reason.starts_with("at position 5 there was event 5 of aggregate 1, recorded at "),
                "{reason}"
            );
            assert!(
                reason.contains(&format!("now there is event 3 of aggregate {other}, recorded at ")),
                "{reason}"
            );
            assert!(reason.contains("open the store anew"), "{reason}");

            // It stays so, even when the event is there again.
            run(&mut session, "DELETE FROM evercore.events WHERE position = 5; INSERT INTO evercore.events OVERRIDING SYSTEM VALUE SELECT * FROM lost").await;
            all_say_rewound(&failures(&reader, types, 5).await);
            run(&mut session, "DROP TABLE lost").await;
            let anew = place.engine().await;
            assert_eq!(log(&anew).await.len(), 10);
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_log_that_became_shorter_is_an_error() -> TestResult {
    let place = Place::new().await;
    let engine = place.engine().await;
    let types = define(&engine).await;
    commit_new(&engine, types, 3).await;
    assert_eq!(log(&engine).await.len(), 3);
    run(&mut place.session().await, "DELETE FROM evercore.events WHERE position > 1").await;
    let errors = failures(&engine, types, 1).await;
    all_say_rewound(&errors);
    let reason = errors[0].source().ok_or("a source")?.to_string();
    assert!(reason.contains("now there is none:"), "{reason}");
    Ok(())
}

/// What an application connects to, while the server behind it may change.
struct Address {
    url: String,
    server: Arc<Mutex<String>>,
}

impl Address {
    async fn of(url: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let (before, after) = url.rsplit_once('@').ok_or("a URL with a user")?;
        let (server, database) = after.split_once('/').ok_or("a URL with a database")?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("{before}@{}/{database}", listener.local_addr()?);
        let server = Arc::new(Mutex::new(server.to_owned()));
        let behind = Arc::clone(&server);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let server = behind.lock().expect("nobody panics").clone();
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(server).await?;
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        });
        Ok(Self { url, server })
    }

    fn lead_to(&self, url: &str) {
        let server = url.rsplit_once('@').and_then(|(_, after)| after.split_once('/'));
        *self.server.lock().expect("nobody panics") = server.expect("a server").0.to_owned();
    }
}

#[tokio::test]
async fn a_failover_to_a_standby_that_was_behind_is_an_error() -> TestResult {
    let primary = private().await;
    let place = place_on(&primary).await;
    let address = Address::of(&place.url()).await?;
    let (writer, reader) =
        (PostgresEngine::connect(&address.url).await?, PostgresEngine::connect(&address.url).await?);
    let types = define(&writer).await;
    commit_new(&writer, types, 3).await;
    let standby = standby_of(&primary).await;
    let behind = Arc::clone(&standby);
    blocking(move || behind.shut_down()).await;
    commit_new(&writer, types, 4).await;
    assert_eq!(log(&reader).await.len(), 7);

    let (dead, next) = (Arc::clone(&primary), Arc::clone(&standby));
    blocking(move || {
        dead.shut_down()?;
        next.restart()
    })
    .await;
    let url = url_on(&standby, &place);
    let mut session = PgConnection::connect(&url).await?;
    run(&mut session, "SELECT pg_promote()").await;
    address.lead_to(&url);

    let next: AggregateId = loop {
        match writer.reserve_ids(1).await {
            Ok(block) => break block.first,
            Err(error) => assert!(error.is_temporary(), "{error:?}"),
        }
    };
    // More events than were lost, with the same aggregate, sequences and perhaps positions as those.
    writer.commit(&append(types, next, 0, 40)).await.expect("a commit");
    while reader.types().await.is_err() {}
    all_say_rewound(&failures(&reader, types, 7).await);
    let anew = PostgresEngine::connect(&address.url).await?;
    assert_eq!(log(&anew).await.len(), 43);
    Ok(())
}
