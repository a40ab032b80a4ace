//! A store in one database, and tables in another one that subscribes to them.

use std::sync::Arc;

use evercore_postgres::PostgresEngine;
use sqlx::{Connection as _, PgConnection};
use xtask::postgres::{Options, PrivateServer, Server};

use crate::{
    fixtures::{Place, run},
    servers::{blocking, place_on},
};

/// The statements of the documentation.
const PUBLICATION: &str = include_str!("../../sql/publication.sql");
const SUBSCRIPTION: &str = include_str!("../../sql/subscription.sql");

/// Both databases are on one server, so that the slot has to be made by hand.
pub(crate) struct Subscribed {
    pub(crate) origin: Arc<Place>,
    pub(crate) copy: Place,
    _server: Arc<PrivateServer>,
}

impl Subscribed {
    /// All tables, as they stand in the documentation.
    pub(crate) const TABLES: &'static str = "evercore.store, evercore.horizon, evercore.aggregate_types, \
        evercore.event_types, evercore.aggregates, evercore.events, evercore.snapshots, evercore.idempotency_keys";

    /// A store, and a database in which somebody has made the tables.
    pub(crate) async fn new() -> Self {
        let options = Options::new().with_setting("wal_level", "logical");
        let server = Arc::new(blocking(move || Server::private(&options)).await);
        let (origin, copy) = (Arc::new(place_on(&server).await), place_on(&server).await);
        drop(origin.engine().await);
        run(&mut copy.session().await, PostgresEngine::migrations_sql("evercore").expect("a name")).await;
        Self { origin, copy, _server: server }
    }

    /// Subscribes as documented, to these tables.
    pub(crate) async fn subscribe(&self, tables: &str) {
        let publication = PUBLICATION.replace("{schema}", "evercore");
        let words: Vec<_> = publication.split_whitespace().collect();
        assert_eq!(words.join(" "), format!("CREATE PUBLICATION evercore FOR TABLE {};", Self::TABLES));
        let publication = format!("CREATE PUBLICATION evercore FOR TABLE {tables}");
        run(&mut self.origin.session().await, publication).await;
        let subscription = self.with_slot("evercore", &SUBSCRIPTION.replace("{schema}", "evercore")).await;
        let mut copy = self.copy.session().await;
        for statement in subscription.trim_end().split_inclusive(";\n") {
            run(&mut copy, statement).await;
        }
        self.is_ready(tables.split(", ").count()).await;
    }

    /// Another subscription, to one table.
    pub(crate) async fn subscribe_beside(&self, table: &str) -> String {
        let name = "beside".to_owned();
        run(&mut self.origin.session().await, format!("CREATE PUBLICATION {name} FOR TABLE {table}")).await;
        run(&mut self.copy.session().await, format!("TRUNCATE {table}")).await;
        let statement = format!(
            "CREATE SUBSCRIPTION {name} CONNECTION 'host=… dbname=… user=… password=…' PUBLICATION {name};"
        );
        let statement = self.with_slot(&name, &statement).await;
        run(&mut self.copy.session().await, statement).await;
        self.is_ready(Self::TABLES.split(", ").count()).await;
        name
    }

    /// One table more in the subscription.
    pub(crate) async fn publish_too(&self, table: &str) {
        run(&mut self.origin.session().await, format!("ALTER PUBLICATION evercore ADD TABLE {table}")).await;
        let mut copy = self.copy.session().await;
        run(&mut copy, format!("TRUNCATE {table}")).await;
        run(&mut copy, "ALTER SUBSCRIPTION evercore REFRESH PUBLICATION").await;
    }

    /// Fills in where the tables come from.
    async fn with_slot(&self, name: &str, subscription: &str) -> String {
        let slot = format!("{name}_{}", self.copy.database());
        let create = format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')");
        run(&mut self.origin.session().await, create).await;
        let url = self.origin.url();
        let connected = subscription.replace("host=… dbname=… user=… password=…", &url);
        connected.replace(
            &format!("PUBLICATION {name};"),
            &format!("PUBLICATION {name} WITH (create_slot = false, slot_name = '{slot}');"),
        )
    }

    async fn is_ready(&self, tables: usize) {
        let mut copy = self.copy.session().await;
        let ready = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate = 'r'";
        let tables = i64::try_from(tables).expect("few");
        while sqlx::query_scalar::<_, i64>(ready).fetch_one(&mut copy).await.expect("a count") < tables {}
    }

    pub(crate) async fn has_events(&self, count: i64) {
        let mut copy = self.copy.session().await;
        let events = "SELECT count(*) FROM evercore.events";
        while sqlx::query_scalar::<_, i64>(events).fetch_one(&mut copy).await.expect("a count") < count {}
    }

    /// Ends a subscription.
    pub(crate) async fn drop(&self, name: &str) {
        let mut copy = PgConnection::connect(&self.copy.url()).await.expect("a session");
        for statement in [
            format!("ALTER SUBSCRIPTION {name} DISABLE"),
            format!("ALTER SUBSCRIPTION {name} SET (slot_name = NONE)"),
            format!("DROP SUBSCRIPTION {name}"),
        ] {
            run(&mut copy, statement).await;
        }
        let slot = format!("{name}_{}", self.copy.database());
        let mut origin = self.origin.session().await;
        let active =
            format!("SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}' AND active");
        while sqlx::query_scalar::<_, i64>(sqlx::AssertSqlSafe(active.clone()))
            .fetch_one(&mut origin)
            .await
            .expect("a count")
            > 0
        {}
        run(&mut origin, format!("SELECT pg_drop_replication_slot('{slot}')")).await;
    }

    /// Ends the subscription: otherwise the databases could not be removed.
    pub(crate) async fn end(self) {
        self.drop("evercore").await;
    }
}
