//! Steps of the schemas of databases: what processes of an earlier version rely on stays as it was.

use std::collections::BTreeSet;

use super::Tree;

/// The steps that were released, and the digest of each. A release adds those that are new.
const RELEASED: &[(&str, u64)] = &[];

/// A step that was released is what databases have.
pub(super) fn released_steps_are_unchanged(tree: &Tree) -> Vec<String> {
    changed(tree, RELEASED)
}

fn changed(tree: &Tree, released: &[(&str, u64)]) -> Vec<String> {
    let unlike = released.iter().filter(|(path, expected)| tree.text(path).map(digest) != Some(*expected));
    unlike
        .map(|(path, _)| format!("{path}: was released, and is not what it was; add a step instead"))
        .collect()
}

/// FNV-1a: it is to see a change, not to withstand an attack.
fn digest(text: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

/// During a deployment processes of two versions call functions: one that is there is never replaced, and the
/// next has another number.
pub(super) fn functions_are_only_added(tree: &Tree) -> Vec<String> {
    let mut known = BTreeSet::new();
    let mut problems = Vec::new();
    for (path, text) in tree.ending(".sql").filter(|(path, _)| path.contains("/migrations/")) {
        let crate_of = path.split('/').next().unwrap_or_default();
        for (line, number) in text.lines().zip(1..) {
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                ["CREATE", "OR", "REPLACE", ..] | ["DROP" | "ALTER", "FUNCTION", ..] => {
                    problems
                        .push(format!("{path}:{number}: changes a function; add one with the next number"));
                }
                ["CREATE", "FUNCTION", declared, ..] => {
                    let name = declared.split('(').next().unwrap_or_default();
                    if !has_number(name) {
                        problems
                            .push(format!("{path}:{number}: `{name}` does not end in a number, as in `_v1`"));
                    }
                    if !known.insert((crate_of, name)) {
                        problems.push(format!("{path}:{number}: `{name}` exists; take the next number"));
                    }
                }
                _ => {}
            }
        }
    }
    problems
}

fn has_number(name: &str) -> bool {
    name.rsplit_once("_v").is_some_and(|(_, number)| number.parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::{Tree, changed, digest, functions_are_only_added};

    #[test]
    fn a_released_step_that_was_edited_or_is_gone_is_found() {
        let tree = Tree::from([
            ("engine/migrations/0001_a.sql", "SELECT 1"),
            ("engine/migrations/0002_b.sql", "SELECT 2"),
        ]);
        let same = digest("SELECT 1");
        assert_eq!(changed(&tree, &[("engine/migrations/0001_a.sql", same)]), [""; 0]);
        assert_eq!(changed(&tree, &[("engine/migrations/0002_b.sql", same)]).len(), 1);
        assert_eq!(changed(&tree, &[("engine/migrations/0003_c.sql", same)]).len(), 1);
    }

    #[test]
    fn a_function_that_is_changed_or_has_no_number_is_found() {
        let tree = Tree::from([
            ("engine/migrations/0001_a.sql", "CREATE FUNCTION {schema}.commit_v1(\n) AS ''"),
            ("engine/migrations/0002_b.sql", "CREATE FUNCTION {schema}.commit_v2() AS ''"),
            ("engine/migrations/0003_c.sql", "CREATE FUNCTION {schema}.commit_v1() AS ''"),
            ("engine/migrations/0004_d.sql", "CREATE OR REPLACE FUNCTION {schema}.commit_v2() AS ''"),
            ("engine/migrations/0005_e.sql", "DROP FUNCTION {schema}.commit_v1"),
            ("engine/migrations/0006_f.sql", "CREATE FUNCTION {schema}.load() AS ''"),
            ("other/migrations/0001_a.sql", "CREATE FUNCTION {schema}.commit_v1(\n) AS ''"),
            ("other/sql/a.sql", "DROP FUNCTION {schema}.commit_v1"),
        ]);
        assert_eq!(
            functions_are_only_added(&tree),
            [
                "engine/migrations/0003_c.sql:1: `{schema}.commit_v1` exists; take the next number",
                "engine/migrations/0004_d.sql:1: changes a function; add one with the next number",
                "engine/migrations/0005_e.sql:1: changes a function; add one with the next number",
                "engine/migrations/0006_f.sql:1: `{schema}.load` does not end in a number, as in `_v1`",
            ]
        );
    }
}
