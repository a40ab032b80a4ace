//! Where files are.

use std::{collections::BTreeSet, path::Path};

use super::Tree;

const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitattributes",
    ".github",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "clippy.toml",
    "deny.toml",
    "evercore",
    "evercore-derive",
    "evercore-memory",
    "evercore-postgres",
    "evercore-sqlite",
    "examples",
    "rustfmt.toml",
    "xtask",
];

/// The top level is the first thing that a reader sees.
pub(super) fn only_known_entries_at_the_top(tree: &Tree) -> Vec<String> {
    let entries: BTreeSet<&str> = tree.files().map(|(path, _)| first_part(path)).collect();
    let unknown = entries.into_iter().filter(|entry| !TOP.contains(entry));
    unknown.map(|entry| format!("{entry}: does not belong at the top level")).collect()
}

/// A statement that no source of its crate names is left over.
pub(super) fn every_statement_is_used(tree: &Tree) -> Vec<String> {
    let statements = tree.ending(".sql").filter(|(path, _)| path.contains("/sql/"));
    let unused = statements.filter(|(path, _)| {
        let stem = Path::new(path).file_stem().unwrap_or_default().to_string_lossy();
        // With its path, or in a table of names.
        let names = [format!("/{stem}.sql\""), format!("\"{stem}\"")];
        let mut sources = tree.ending(".rs").filter(|(source, _)| first_part(source) == first_part(path));
        !sources.any(|(_, text)| names.iter().any(|name| text.contains(name)))
    });
    unused.map(|(path, _)| format!("{path}: no source file includes it")).collect()
}

fn first_part(path: &str) -> &str {
    path.split_once('/').map_or(path, |(first, _)| first)
}

#[cfg(test)]
mod tests {
    use super::{Tree, every_statement_is_used, only_known_entries_at_the_top};

    #[test]
    fn an_unknown_entry_at_the_top_is_found() {
        let tree =
            Tree::from([("Cargo.toml", ""), ("xtask/src/lib.rs", ""), ("notes/a.md", ""), ("x.md", "")]);
        assert_eq!(
            only_known_entries_at_the_top(&tree),
            ["notes: does not belong at the top level", "x.md: does not belong at the top level"]
        );
    }

    #[test]
    fn a_statement_that_nobody_includes_is_found() {
        let tree = Tree::from([
            ("evercore-sqlite/sql/load.sql", ""),
            ("evercore-sqlite/sql/begin.sql", ""),
            ("evercore-sqlite/sql/unload.sql", ""),
            ("evercore-sqlite/src/statements.rs", r#"include_str!("../sql/load.sql"); BEGIN = "begin";"#),
            ("evercore-postgres/src/statements.rs", r#"include_str!("../sql/unload.sql")"#),
        ]);
        assert_eq!(
            every_statement_is_used(&tree),
            ["evercore-sqlite/sql/unload.sql: no source file includes it"]
        );
    }
}
