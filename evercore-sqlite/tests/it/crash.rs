//! A process that is killed leaves whole commits only.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use evercore::engine::{EventFilter, StorageEngine};
use evercore_sqlite::SqliteEngine;

use crate::fixtures::{Place, TestResult, append, define, log, new_id};

const FILE: &str = "EVERCORE_SQLITE_TEST_FILE";
const EVENTS: i64 = 7;

/// The test below starts this binary again with a file to write to; then this one commits until it is killed.
#[tokio::test]
async fn child_that_commits_until_it_is_killed() -> TestResult {
    let Ok(url) = env::var(FILE) else { return Ok(()) };
    let engine = SqliteEngine::connect(&url).await?;
    let types = define(&engine).await;
    loop {
        let id = new_id(&engine).await;
        engine.commit(&append(types, id, 0, EVENTS)).await.expect("a commit");
        // Past the capture of the test harness.
        std::io::Write::write_all(&mut std::io::stderr(), format!("committed {id}\n").as_bytes())?;
    }
}

#[tokio::test]
async fn a_killed_process_leaves_whole_commits() -> TestResult {
    let place = Place::new();
    for round in 1..=3 {
        let mut child = Command::new(env::current_exe()?)
            .args(["--exact", "crash::child_that_commits_until_it_is_killed", "--nocapture"])
            .env(FILE, place.url())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = BufReader::new(child.stderr.take().ok_or("no output")?);
        let committed = stderr.lines().map_while(Result::ok).filter(|line| line.starts_with("committed"));
        let last = committed.take(40 * round).last().ok_or("nothing was committed")?;
        child.kill()?;
        child.wait()?;

        let engine = place.engine().await;
        let events = log(&engine, EventFilter::default()).await;
        assert!(events.len() >= 40 * usize::try_from(EVENTS)?);
        for commit in events.chunks(usize::try_from(EVENTS)?) {
            let sequences: Vec<_> = commit.iter().map(|event| event.sequence.get()).collect();
            assert_eq!(sequences, (1..=EVENTS).collect::<Vec<_>>());
            assert!(commit.iter().all(|event| event.aggregate_id == commit[0].aggregate_id));
        }
        let acknowledged: i64 = last.trim_start_matches("committed ").parse()?;
        assert!(
            events.iter().any(|event| event.aggregate_id.get() == acknowledged),
            "what was answered is there"
        );
        let integrity: String = place.shell().query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        assert_eq!(integrity, "ok");
    }
    Ok(())
}
