use serde_json::{Value, json};

use super::compare;
use crate::Description;

/// A domain of one aggregate.
fn domain(events: &Value) -> Description {
    domain_with(events, &json!({}))
}

fn domain_with(events: &Value, aggregate: &Value) -> Description {
    let mut aggregate = aggregate.clone();
    aggregate["events"] = events.clone();
    serde_json::from_value(json!({ "aggregates": { "User": aggregate } })).unwrap()
}

/// An event with these fields.
fn event(fields: &Value) -> Value {
    json!({ "Renamed": { "shape": { "fields": fields } } })
}

fn changes(old: &Description, new: &Description) -> Vec<String> {
    compare(old, new).iter().map(ToString::to_string).collect()
}

fn fields(old: &Value, new: &Value) -> Vec<String> {
    changes(&domain(&event(old)), &domain(&event(new)))
}

#[test]
fn without_a_change_nothing_is_said() {
    let same = domain(&event(&json!({ "name": { "type": "String" } })));
    assert_eq!(changes(&same, &same), [""; 0]);
}

#[test]
fn a_new_field_has_to_have_a_default() {
    let old = json!({});
    assert_eq!(
        fields(&old, &json!({ "age": { "type": "u8" } })),
        [
            "- User, event Renamed: field `age: u8` was added, and old events do not have it.\n  To do: give it \
          `#[serde(default)]`, or make it an `Option`, or keep the old form as an `#[event]` of its own and name it in \
          `upcasts(…)`."
        ]
    );
    assert_eq!(
        fields(&old, &json!({ "age": { "type": "u8", "optional": true } })),
        ["- User, event Renamed: field `age: u8` was added, and may be missing in old events."]
    );
}

#[test]
fn a_field_may_go_unless_unknown_ones_are_denied() {
    let (old, new) = (json!({ "age": { "type": "u8" } }), json!({}));
    assert_eq!(
        fields(&old, &new),
        ["- User, event Renamed: field `age` was removed; old events are read without it."]
    );
    let denying = |fields: &Value| {
        domain(&json!({ "Renamed": { "serde": ["deny_unknown_fields"], "shape": { "fields": fields } } }))
    };
    assert_eq!(
        changes(&denying(&old), &denying(&new)),
        [
            "- User, event Renamed: field `age` was removed, and old events have it.\n  To do: keep the field, or take \
          `deny_unknown_fields` away."
        ]
    );
    assert_eq!(changes(&denying(&old), &domain(&event(&old))), [""; 0]);
    assert!(changes(&domain(&event(&old)), &denying(&old))[0].contains("`deny_unknown_fields`"));
}

#[test]
fn a_renamed_field_needs_an_alias() {
    let old = json!({ "name": { "type": "String" } });
    let found = fields(&old, &json!({ "full_name": { "type": "String" } }));
    assert!(
        found[1].contains("if `name` was renamed, write `#[serde(alias = \"name\")]` on it; else"),
        "{found:?}"
    );
    assert_eq!(
        fields(&old, &json!({ "full_name": { "type": "String", "aliases": ["name"] } })),
        ["- User, event Renamed: field `name` is called `full_name` now."]
    );
}

#[test]
fn a_type_may_only_grow() {
    let change = |old: &str, new: &str| {
        let found = fields(&json!({ "value": { "type": old } }), &json!({ "value": { "type": new } }));
        assert_eq!(found.len(), 1, "{found:?}");
        !found[0].contains("To do")
    };
    for (old, new) in [
        ("u8", "u16"),
        ("u32", "i64"),
        ("i8", "isize"),
        ("u64", "usize"),
        ("u8", "Option<u8>"),
        ("Option<u8>", "Option<u64>"),
        ("String", "Box<str>"),
    ] {
        assert!(change(old, new), "{old} to {new}");
    }
    for (old, new) in [
        ("u16", "u8"),
        ("u64", "i64"),
        ("i8", "u64"),
        ("u32", "f64"),
        ("u8", "String"),
        ("Money", "Amount"),
        ("u8", "Option<String>"),
        ("Option<u8>", "u8"),
        ("Vec<u8>", "Vec<u16>"),
    ] {
        assert!(!change(old, new), "{old} to {new}");
    }
}

#[test]
fn what_may_be_missing_must_not_become_required() {
    let old = json!({ "age": { "type": "u8", "optional": true } });
    let found = fields(&old, &json!({ "age": { "type": "u8" } }));
    assert!(found[0].contains("`age` may be missing in old events, and has to be there now"), "{found:?}");
    assert_eq!(fields(&json!({ "age": { "type": "u8" } }), &old), [""; 0]);
    let aliased = json!({ "years": { "type": "u8", "aliases": ["age"] } });
    let found = fields(&old, &aliased);
    assert!(found.iter().any(|found| found.contains("To do")), "{found:?}");
}

#[test]
fn what_serde_is_told_otherwise_is_to_be_looked_at() {
    let old = json!({ "age": { "type": "Age" } });
    let found = fields(&old, &json!({ "age": { "type": "Age", "serde": ["flatten"] } }));
    assert_eq!(
        found,
        [
            "- User, event Renamed: field `age` is stored or read in another way: `flatten`.\n  To do: see by a test that \
          events of the old form are still read."
        ]
    );
}

#[test]
fn names_stay_known() {
    let old = domain(&event(&json!({})));
    let found = changes(&old, &domain(&json!({})));
    assert!(found[0].contains("the aggregate does not know it any more.\n  To do: keep it; or"), "{found:?}");
    let renamed = json!({ "Named": { "aliases": ["Renamed"], "shape": { "fields": {} } } });
    assert_eq!(changes(&old, &domain(&renamed)), ["- User, event Renamed: is called Named now."]);
    let ignored = domain_with(&json!({}), &json!({ "ignores": ["Renamed"] }));
    assert_eq!(changes(&old, &ignored), ["- User, event Renamed: is ignored now."]);
    assert!(changes(&ignored, &domain(&json!({})))[0].contains("it was ignored, and is unknown now"));
    let found = changes(&domain(&renamed), &domain(&json!({ "Named": { "shape": { "fields": {} } } })));
    assert!(found[0].contains("the name Renamed is unknown now"), "{found:?}");
    assert_eq!(changes(&domain(&json!({})), &old), ["- User, event Renamed: is new."]);
}

#[test]
fn an_older_form_is_compared_with_what_it_was() {
    let old = domain(&event(&json!({ "name": { "type": "String" } })));
    let upcast = |ty: &str| {
        domain(&json!({
            "Renamed": { "shape": { "fields": { "name": { "type": ty } } } },
            "Renamed.v2": { "upcasts": ["Renamed"], "shape": { "fields": { "first": { "type": "String" } } } },
        }))
    };
    assert_eq!(changes(&old, &upcast("String")), ["- User, event Renamed.v2: is new."]);
    assert!(changes(&old, &upcast("u8"))[0].contains("from `String` to `u8`"));
}

#[test]
fn an_aggregate_may_be_renamed_with_an_alias() {
    let old = domain(&event(&json!({})));
    let renamed = |aliases: &Value| -> Description {
        let person = json!({ "aliases": aliases, "events": event(&json!({})) });
        serde_json::from_value(json!({ "aggregates": { "Person": person } })).unwrap()
    };
    assert_eq!(changes(&old, &renamed(&json!(["User"]))), ["- User: is called Person now."]);
    assert_eq!(
        changes(&old, &renamed(&json!([]))),
        [
            "- User: no aggregate has this name any more.\n  To do: keep it, or give its successor \
          `#[aggregate(alias = \"User\")]`.",
            "- Person: is new."
        ]
    );
    assert!(changes(&renamed(&json!(["User"])), &renamed(&json!([])))[0].contains("User: no aggregate"));
}

#[test]
fn values_without_names_are_compared_by_their_places() {
    let of = |values: &Value| domain(&json!({ "Renamed": { "shape": { "values": values } } }));
    let (one, two) = (json!([{ "type": "u8" }]), json!([{ "type": "u8" }, { "type": "u8" }]));
    assert!(changes(&of(&one), &of(&two))[0].contains("it had 1 values, and has 2 now"));
    assert!(changes(&of(&one), &of(&json!([{ "type": "i8" }])))[0].contains("the type of field `0`"));
    assert!(changes(&of(&one), &domain(&event(&json!({}))))[0].contains("became a struct with named fields"));
}

#[test]
fn alias_of_a_field_is_taken_away() {
    let old = json!({ "full_name": { "type": "String", "aliases": ["name"] } });
    let found = fields(&old, &json!({ "full_name": { "type": "String" } }));
    assert!(found.iter().any(|found| found.contains("To do")), "{found:?}");
}

#[test]
fn two_old_fields_become_one_by_alias() {
    let old = json!({ "a": { "type": "String" }, "b": { "type": "String" } });
    let found = fields(&old, &json!({ "b": { "type": "String", "aliases": ["a"] } }));
    assert!(found.iter().any(|found| found.contains("To do")), "{found:?}");
}

#[test]
fn alias_of_an_event_becomes_another_event() {
    let old =
        domain(&json!({ "B": { "aliases": ["A"], "shape": { "fields": { "x": { "type": "String" } } } } }));
    let new = domain(&json!({
        "B": { "shape": { "fields": { "x": { "type": "String" } } } },
        "A": { "shape": { "fields": { "y": { "type": "u8" } } } },
    }));
    let found = changes(&old, &new);
    assert!(found.iter().any(|found| found.contains("To do")), "{found:?}");
}

#[test]
fn alias_of_an_aggregate_goes_to_another() {
    let of =
        |value: Value| -> Description { serde_json::from_value(json!({ "aggregates": value })).unwrap() };
    let event = event(&json!({}));
    let old = of(json!({ "User": { "aliases": ["Old"], "events": event }, "Account": { "events": {} } }));
    let new = of(json!({ "User": { "events": event }, "Account": { "aliases": ["Old"], "events": {} } }));
    let found = changes(&old, &new);
    assert!(found.iter().any(|found| found.contains("To do")), "{found:?}");
}

#[test]
fn unseen_shapes() {
    let seen = domain(&event(&json!({ "age": { "type": "u8" } })));
    let unseen = domain(&json!({ "Renamed": { "shape": "unknown" } }));
    for (old, new) in [(&seen, &unseen), (&unseen, &seen)] {
        let found = changes(old, new);
        assert!(found.iter().any(|found| found.contains("To do")), "{found:?}");
    }
}

#[test]
fn with_and_a_type_that_grows() {
    let of = |ty: &str| json!({ "x": { "type": ty, "serde": ["with=\"hex\""] } });
    let found = fields(&of("u8"), &of("u16"));
    assert!(found.iter().any(|found| found.contains("To do")), "{found:?}");
}

#[test]
fn value_without_its_default() {
    let of = |optional: bool| {
        domain(&json!({ "Renamed": { "shape": { "values": [
            { "type": "u8" }, { "type": "u8" }, { "type": "u8", "optional": optional }
        ] } } }))
    };
    let found = changes(&of(true), &of(false));
    assert!(found.iter().any(|found| found.contains("To do")), "{found:?}");
}

#[test]
fn flatten_takes_a_removed_field() {
    #[derive(serde::Deserialize)]
    struct New {
        #[serde(flatten, default)]
        _rest: std::collections::HashMap<String, String>,
    }
    assert!(serde_json::from_str::<New>(r#"{"age":1}"#).is_err());
    let new =
        json!({ "rest": { "type": "HashMap<String, String>", "serde": ["flatten"], "optional": true } });
    let found = fields(&json!({ "age": { "type": "u8" } }), &new);
    assert!(found.iter().any(|found| found.contains("To do")), "{found:?}");
}
