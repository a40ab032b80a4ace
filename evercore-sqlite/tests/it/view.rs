//! What a person sees in the shell.

use evercore::engine::{StorageEngine, Timestamp};

use crate::fixtures::{Place, TestResult, append, create, define, new_id};

#[tokio::test]
async fn the_log_can_be_read_in_the_shell() -> TestResult {
    let place = Place::new();
    let engine = place.engine().await;
    let types = define(&engine).await;
    let id = new_id(&engine).await;
    let mut changes = create(types, id, "john@example.com");
    changes.events.extend(append(types, id, 1, 1).events);
    changes.aggregates[0].version = changes.aggregates[0].version.next();
    changes.events[1].time = Timestamp::from_micros(-1).expect("a time");
    engine.commit(&changes).await.expect("a commit");

    let shell = place.shell();
    let mut statement = shell.prepare(
        "SELECT concat_ws('|', position, aggregate_type, aggregate_id, natural_key, sequence, event_type, time, reference,
            metadata, payload, typeof(payload)), recorded_at FROM event_log ORDER BY position",
    )?;
    let rows: Vec<(String, String)> =
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let texts: Vec<_> = rows.iter().map(|(text, _)| text.as_str()).collect();
    assert_eq!(
        texts,
        [
            r#"1|user|1|john@example.com|1|UserCreated|2026-01-02T03:04:05.123456Z|order-7|{"by":"me"}|"event 1"|text"#,
            r#"2|user|1|john@example.com|2|UserCreated|1969-12-31T23:59:59.999999Z|order-7|{"by":"me"}|"event 2"|text"#,
        ]
    );
    let recorded: i64 =
        shell.query_row("SELECT max(recorded_at) FROM evercore_events", [], |row| row.get(0))?;
    let recorded = chrono_text(Timestamp::from_micros(recorded).expect("a time"));
    assert_eq!(rows[0].1, recorded);
    Ok(())
}

/// With all six digits.
fn chrono_text(time: Timestamp) -> String {
    let seconds = time.to_string();
    let seconds = seconds.split(['.', 'Z']).next().expect("a part");
    format!("{seconds}.{:06}Z", time.micros().rem_euclid(1_000_000))
}

#[tokio::test]
async fn a_table_of_that_name_stays() -> TestResult {
    let place = Place::new();
    place.shell().execute("CREATE TABLE event_log (mine)", [])?;
    define(&place.engine().await).await;
    place.shell().execute("INSERT INTO event_log VALUES (1)", [])?;
    Ok(())
}
