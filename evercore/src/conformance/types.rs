//! Types: the ids of names.

use std::{collections::HashSet, sync::Arc};

use super::{
    Harness,
    fixtures::{AWKWARD_TEXTS, id_of, names},
};
use crate::engine::{StorageEngine, TypeCatalog};

pub(super) async fn a_new_store_has_none<H: Harness>(harness: H) {
    let engine = harness.open().await;
    assert_eq!(engine.types().await.unwrap(), TypeCatalog::default());
}

pub(super) async fn every_name_gets_an_id_of_its_own<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let catalog =
        engine.define_types(&names(&["user", "order", "cart"], &["opened", "closed"])).await.unwrap();
    let aggregates: HashSet<_> = catalog.aggregates.iter().map(|(id, _)| *id).collect();
    let events: HashSet<_> = catalog.events.iter().map(|(id, _)| *id).collect();
    assert_eq!((aggregates.len(), events.len()), (3, 2));
}

pub(super) async fn a_name_keeps_its_id<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let first = engine.define_types(&names(&["user"], &["opened"])).await.unwrap();
    let second = engine.define_types(&names(&["order", "user"], &["closed", "opened"])).await.unwrap();
    assert_eq!(id_of(&second.aggregates, "user"), id_of(&first.aggregates, "user"));
    assert_eq!(id_of(&second.events, "opened"), id_of(&first.events, "opened"));
}

pub(super) async fn a_name_keeps_its_id_over_a_restart<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let before = engine.define_types(&names(&["user", "order"], &["opened", "closed"])).await.unwrap();
    engine.close().await.unwrap();

    let engine = harness.open().await;
    assert_eq!(sorted(engine.types().await.unwrap()), sorted(before.clone()));
    let after = engine.define_types(&names(&["cart", "order", "user"], &["closed"])).await.unwrap();
    assert_eq!(id_of(&after.aggregates, "user"), id_of(&before.aggregates, "user"));
    assert_eq!(id_of(&after.aggregates, "order"), id_of(&before.aggregates, "order"));
    assert_eq!(id_of(&after.events, "closed"), id_of(&before.events, "closed"));
    assert!(before.aggregates.iter().all(|(id, _)| *id != id_of(&after.aggregates, "cart")));
}

pub(super) async fn aggregate_types_and_event_types_are_apart<H: Harness>(harness: H) {
    let engine = harness.open().await;
    engine.define_types(&names(&["first", "both"], &[])).await.unwrap();
    let catalog = engine.define_types(&names(&[], &["both"])).await.unwrap();
    assert_eq!(catalog.aggregates.len(), 2);
    assert_eq!(catalog.events.len(), 1);
    id_of(&catalog.aggregates, "both");
    id_of(&catalog.events, "both");
}

pub(super) async fn names_differ_when_one_byte_differs<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let catalog = engine.define_types(&names(AWKWARD_TEXTS, AWKWARD_TEXTS)).await.unwrap();
    assert_eq!(catalog.aggregates.len(), AWKWARD_TEXTS.len());
    assert_eq!(catalog.events.len(), AWKWARD_TEXTS.len());
    for name in AWKWARD_TEXTS {
        id_of(&catalog.aggregates, name);
        id_of(&catalog.events, name);
    }
}

pub(super) async fn names_of_255_bytes_are_kept<H: Harness>(harness: H) {
    let engine = harness.open().await;
    let (ascii, wide) = ("x".repeat(255), "\u{20ac}".repeat(85));
    engine.define_types(&names(&[&ascii, &wide], &[&ascii, &wide])).await.unwrap();
    let catalog = engine.types().await.unwrap();
    id_of(&catalog.aggregates, &ascii);
    id_of(&catalog.aggregates, &wide);
    id_of(&catalog.events, &ascii);
    id_of(&catalog.events, &wide);
}

pub(super) async fn callers_that_define_the_same_names_at_once_get_the_same_ids<H: Harness>(harness: H) {
    let engines = [Arc::new(harness.open().await), Arc::new(harness.open().await)];
    let callers: Vec<_> = engines
        .iter()
        .cycle()
        .take(16)
        .map(|engine| {
            let engine = Arc::clone(engine);
            tokio::spawn(async move { engine.define_types(&names(&["a", "b", "c"], &["x", "y", "z"])).await })
        })
        .collect();
    let mut catalogs = Vec::new();
    for caller in callers {
        catalogs.push(sorted(caller.await.unwrap().unwrap()));
    }
    let stored = sorted(engines[0].types().await.unwrap());
    assert!(catalogs.iter().all(|catalog| *catalog == stored), "{catalogs:?} are all {stored:?}");
    assert_eq!((stored.aggregates.len(), stored.events.len()), (3, 3));
}

pub(super) async fn types_that_others_defined_are_returned_too<H: Harness>(harness: H) {
    let (mine, other) = (harness.open().await, harness.open().await);
    mine.define_types(&names(&["mine"], &["mine_changed"])).await.unwrap();
    other.define_types(&names(&["other"], &["other_changed"])).await.unwrap();
    let catalog = mine.define_types(&names(&["mine"], &[])).await.unwrap();
    assert_eq!((catalog.aggregates.len(), catalog.events.len()), (2, 2));
    id_of(&catalog.aggregates, "other");
    id_of(&catalog.events, "other_changed");
    assert_eq!(sorted(other.types().await.unwrap()), sorted(catalog));
}

fn sorted(mut catalog: TypeCatalog) -> TypeCatalog {
    catalog.aggregates.sort();
    catalog.events.sort();
    catalog
}
