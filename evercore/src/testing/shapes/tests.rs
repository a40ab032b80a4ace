use std::{fs, path::PathBuf};

use serde_json::json;

use super::check;
use crate::Description;

/// A file that is gone after the test.
struct File(PathBuf);

impl File {
    fn new(name: &str) -> Self {
        let file = Self(std::env::temp_dir().join(format!("evercore-{}-{name}.json", std::process::id())));
        let _ = fs::remove_file(&file.0);
        file
    }

    fn check(&self, current: Description, version: &str, update: bool) -> Result<Option<String>, String> {
        check(&self.0, current, Some(version), update, false)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.0).unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn user(fields: &serde_json::Value) -> Description {
    let events = json!({ "Renamed": { "shape": { "fields": fields } } });
    serde_json::from_value(json!({ "aggregates": { "User": { "events": events } } })).unwrap()
}

#[test]
fn a_missing_file_is_written_but_not_on_ci() {
    let file = File::new("missing");
    let refused = check(&file.0, user(&json!({})), None, false, true).unwrap_err();
    assert!(refused.contains("is missing") && !file.0.exists(), "{refused}");
    let notice = file.check(user(&json!({})), "1.0.0", false).unwrap().unwrap();
    assert!(notice.contains("is new"), "{notice}");
    assert_eq!(
        file.text(),
        "{\n  \"aggregates\": {\n    \"User\": {\n      \"events\": {\n        \"Renamed\": {\n          \"since\": \
         \"1.0.0\",\n          \"shape\": {\n            \"fields\": {}\n          }\n        }\n      }\n    }\n  }\n}\n"
    );
    assert_eq!(file.check(user(&json!({})), "2.0.0", false), Ok(None));
}

#[test]
fn a_change_that_old_events_survive_is_reported_until_it_is_written_down() {
    let file = File::new("compatible");
    file.check(user(&json!({})), "1.0.0", false).unwrap();
    let (new, before) = (user(&json!({ "age": { "type": "u8", "optional": true } })), file.text());
    for _ in 0..2 {
        let notice = file.check(new.clone(), "1.1.0", false).unwrap().unwrap();
        assert!(notice.contains("is behind") && notice.contains("`age: u8` was added"), "{notice}");
    }
    let refused = check(&file.0, new.clone(), Some("1.1.0"), false, true).unwrap_err();
    assert!(refused.contains("is behind"), "{refused}");
    assert_eq!(file.text(), before);
    let notice = file.check(new.clone(), "1.1.0", true).unwrap().unwrap();
    assert!(notice.contains("was brought up to date"), "{notice}");
    assert!(file.text().contains("\"since\": \"1.0.0\""), "{}", file.text());
    assert_eq!(file.check(new, "1.1.0", false), Ok(None));
}

#[test]
fn a_change_that_old_events_do_not_survive_fails_until_it_is_accepted() {
    let file = File::new("breaking");
    file.check(user(&json!({ "age": { "type": "u8" } })), "1.0.0", false).unwrap();
    let (new, before) = (user(&json!({ "age": { "type": "String" } })), file.text());
    let failure = file.check(new.clone(), "1.0.0", false).unwrap_err();
    assert!(failure.contains("can no longer be read") && failure.contains("EVERCORE_UPDATE=1"), "{failure}");
    assert_eq!(file.text(), before);
    file.check(new.clone(), "1.0.0", true).unwrap();
    assert_eq!(file.check(new, "1.0.0", false), Ok(None));
}

#[test]
fn a_form_that_was_replaced_is_not_forgotten() {
    let file = File::new("history");
    file.check(user(&json!({ "age": { "type": "u8" } })), "1.0.0", false).unwrap();
    // The field goes, which is fine, and is written down.
    file.check(user(&json!({})), "2.0.0", true).unwrap();
    // It comes back as something else: the first events still have the other.
    let back = user(&json!({ "age": { "type": "String", "optional": true } }));
    let failure = file.check(back, "3.0.0", false).unwrap_err();
    assert!(
        failure.contains("in an earlier form, the type of field `age` was changed from `u8`"),
        "{failure}"
    );
}

#[test]
fn a_form_is_not_forgotten_over_a_new_name() {
    let file = File::new("renamed");
    file.check(user(&json!({ "age": { "type": "u8" } })), "1.0.0", false).unwrap();
    let named = |fields: serde_json::Value| -> Description {
        let events = json!({ "Named": { "aliases": ["Renamed"], "shape": { "fields": fields } } });
        serde_json::from_value(json!({ "aggregates": { "User": { "events": events } } })).unwrap()
    };
    file.check(named(json!({})), "2.0.0", true).unwrap();
    assert!(file.text().contains("\"since\": \"1.0.0\""), "{}", file.text());
    let back = named(json!({ "age": { "type": "String", "optional": true } }));
    assert!(file.check(back, "3.0.0", false).is_err());
}

#[test]
fn a_file_that_cannot_be_read_is_not_overwritten() {
    let file = File::new("broken");
    fs::write(&file.0, "<<<<<<< ours").unwrap();
    for update in [false, true] {
        let failure = file.check(user(&json!({})), "1.0.0", update).unwrap_err();
        assert!(failure.contains("cannot be read") && failure.contains("version control"), "{failure}");
    }
    assert_eq!(file.text(), "<<<<<<< ours");
}
