//! How often the server is asked: a proxy counts the messages that ask for an answer.

use std::{
    io, mem,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use evercore::{
    Position, Sequence,
    engine::{
        Checkpoint, Claim, EventFilter, FencingToken, Load, LoadTarget, LogRead, NewFailedDelivery,
        NewSubscription, OwnerError, Renewal, SnapshotUse, StorageEngine, SubscriptionChange,
        SubscriptionEngine,
    },
};
use evercore_postgres::{PostgresEngine, PostgresEngineBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

use crate::fixtures::{Place, TestResult, append, create, define, new_id};

const HOUR: Duration = Duration::from_secs(3600);

/// Passes everything on to a server and counts.
struct Proxy {
    url: String,
    asked: Arc<AtomicUsize>,
}

impl Proxy {
    async fn before(url: &str) -> io::Result<Self> {
        let (before, after) = url.rsplit_once('@').expect("a URL with a user");
        let (server, database) = after.split_once('/').expect("a URL with a database");
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let own = format!("{before}@{}/{database}?sslmode=disable", listener.local_addr()?);
        let (server, asked) = (server.to_owned(), Arc::new(AtomicUsize::new(0)));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (server, counter) = (server.clone(), Arc::clone(&counter));
                tokio::spawn(
                    async move { pass_on(client, TcpStream::connect(server).await?, counter).await },
                );
            }
        });
        Ok(Self { url: own, asked })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn pass_on(client: TcpStream, server: TcpStream, asked: Arc<AtomicUsize>) -> io::Result<()> {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = server.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
    count(from_client, to_server, asked).await
}

/// Reads message by message. The first has no type, and says what the connection is called: those of the doorbell
/// and the horizon, which are used after an operation and not for it, are not counted. Then `S` asks for the answer to all before it, and `Q` is a
/// statement that wants one at once.
async fn count(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, asked: Arc<AtomicUsize>) -> io::Result<()> {
    let (mut is_first, mut is_counted) = (true, true);
    loop {
        let mut message = Vec::new();
        if !is_first {
            let kind = from.read_u8().await?;
            if is_counted && matches!(kind, b'S' | b'Q') {
                asked.fetch_add(1, Ordering::SeqCst);
            }
            message.push(kind);
        }
        let length = from.read_u32().await?;
        message.extend(length.to_be_bytes());
        let body = message.len();
        message.resize(body + length as usize - 4, 0);
        from.read_exact(&mut message[body..]).await?;
        if mem::take(&mut is_first) {
            let message = String::from_utf8_lossy(&message);
            is_counted = !["doorbell", "horizon"]
                .iter()
                .any(|purpose| message.contains(&format!("\0evercore {purpose}\0")));
        }
        to.write_all(&message).await?;
    }
}

#[tokio::test]
async fn each_operation_asks_once() -> TestResult {
    each_operation_asks(1, |builder| builder).await
}

#[tokio::test]
async fn without_prepared_statements_each_operation_asks_four_times() -> TestResult {
    each_operation_asks(4, PostgresEngineBuilder::without_prepared_statements).await
}

async fn each_operation_asks(
    often: usize,
    how: impl Fn(PostgresEngineBuilder) -> PostgresEngineBuilder,
) -> TestResult {
    let place = Place::new().await;
    let proxy = Proxy::before(&place.url()).await?;
    let engine = how(PostgresEngine::builder().url(&proxy.url)).connect().await?;
    let types = define(&engine).await;
    let everything = LogRead { filter: EventFilter::default(), after: Position::START, limit: 1_000 };
    let some = EventFilter { event_types: Some([types.created].into()), ..EventFilter::default() };
    let some = LogRead { filter: some, ..everything.clone() };

    // In the first round statements are prepared.
    for round in 0..3 {
        let (one, other) = (new_id(&engine).await, new_id(&engine).await);
        let mut changes = create(types, one, &format!("key {round}"));
        let more = append(types, other, 0, 20);
        changes.aggregates.extend(more.aggregates);
        changes.events.extend(more.events);
        let loads: Vec<_> = [one, other, one]
            .map(|id| Load {
                target: LoadTarget::Id(id),
                snapshot: SnapshotUse::Any,
                after: Sequence::NONE,
                limit: u32::MAX,
            })
            .into();
        let mut counts = vec![proxy.asked()];
        engine.commit(&changes).await.expect("a commit");
        counts.push(proxy.asked());
        assert_eq!(engine.load(&loads).await?.len(), 3);
        counts.push(proxy.asked());
        assert_eq!(engine.read_log(&everything).await?.events.len(), 21 * (round + 1));
        counts.push(proxy.asked());
        assert_eq!(engine.read_log(&some).await?.events.len(), 21 * (round + 1));
        counts.push(proxy.asked());
        engine.head().await?;
        counts.push(proxy.asked());
        engine.find_by_key(types.user, &crate::fixtures::key("key 0")).await?;
        counts.push(proxy.asked());
        let counts: Vec<_> = counts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if round > 0 {
            assert_eq!(counts, [often; 6], "commit, load, page, page of some, head, find");
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_operation_on_a_subscription_asks_once() -> TestResult {
    let place = Place::new().await;
    let proxy = Proxy::before(&place.url()).await?;
    let engine = PostgresEngine::connect(&proxy.url).await?;
    // In the first round statements are prepared.
    for round in 0..3 {
        let name = format!("orders {round}");
        let new = NewSubscription { name: name.clone(), filter: String::new(), cursor: Position::START };
        let mut counts = vec![proxy.asked()];
        for _ in 0..2 {
            engine.define_subscription(&new).await?;
            counts.push(proxy.asked());
        }
        let claim = engine.claim_subscription(&name, "one", HOUR).await?;
        counts.push(proxy.asked());
        let Claim::Claimed(own) = claim else { return Err(format!("{claim:?}").into()) };
        let other = engine.claim_subscription(&name, "other", HOUR).await?;
        counts.push(proxy.asked());
        assert!(matches!(other, Claim::Held { .. }), "{other:?}");
        let lost = FencingToken::new(i64::MAX);
        let renewals = [own.token, lost].map(|token| Renewal { name: name.clone(), token, lease: HOUR });
        assert_eq!(engine.renew_leases(&renewals).await?.iter().flatten().count(), 1);
        counts.push(proxy.asked());
        let failed = [1, 2].map(|position| NewFailedDelivery {
            position: Position::new(position),
            attempts: 1,
            error: "of no use".into(),
        });
        let (from, to, failed) = (Position::START, Position::new(2), failed.into());
        let step = Checkpoint { name: name.clone(), token: own.token, from, to, anchor: None, failed };
        engine.checkpoint(&step).await.expect("it is moved");
        counts.push(proxy.asked());
        let again = engine.checkpoint(&step).await;
        counts.push(proxy.asked());
        assert!(matches!(again, Err(OwnerError::Moved(_))), "{again:?}");
        engine.subscriptions(None).await?;
        counts.push(proxy.asked());
        assert_eq!(engine.failed_deliveries(&name, Position::START, 10).await?.len(), 2);
        counts.push(proxy.asked());
        engine.drop_failed_delivery(&name, Position::new(1)).await?;
        counts.push(proxy.asked());
        engine.release_subscription(&name, own.token, None).await.expect("it is given up");
        counts.push(proxy.asked());
        for change in [SubscriptionChange::Pause, SubscriptionChange::Delete] {
            engine.change_subscription(&name, &change, None).await.expect("it is changed");
            counts.push(proxy.asked());
        }
        let counts: Vec<_> = counts.windows(2).map(|pair| pair[1] - pair[0]).collect();
        if round > 0 {
            assert_eq!(counts, [1; 13]);
        }
    }
    Ok(())
}
