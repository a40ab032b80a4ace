//! `cargo xtask tidy`: the rules of this repository that no compiler knows.

mod layout;
mod manifests;
mod migrations;
mod records;
mod sources;
mod texts;
mod tree;

use self::tree::Tree;
use crate::{Failure, Result, run::root};

/// Looks at the whole tree and returns what is wrong with it, as `path:line: what to do`.
type Rule = fn(&Tree) -> Vec<String>;

const RULES: &[Rule] = &[
    layout::only_known_entries_at_the_top,
    layout::every_statement_is_used,
    manifests::own_dev_dependencies_have_no_version,
    manifests::crates_depend_on_what_they_may,
    manifests::tasks_need_no_own_crate_by_default,
    manifests::lints_are_inherited,
    migrations::released_steps_are_unchanged,
    migrations::functions_are_only_added,
    sources::nothing_is_unfinished,
    sources::no_test_is_switched_off,
    sources::no_test_sleeps,
    sources::files_are_short,
    records::decisions_are_named_and_numbered,
    records::decisions_are_rendered,
    texts::changelog_has_a_place_for_changes,
    texts::map_is_complete,
    texts::no_path_of_one_machine,
];

/// Checks all rules.
///
/// # Errors
///
/// Lists everything that breaks one.
pub fn check() -> Result {
    let tree = Tree::read(&root())?;
    let problems: Vec<String> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!("{}\n\nrepeat it with\n\n    cargo xtask tidy", problems.join("\n"))))
}
