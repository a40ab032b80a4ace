//! What stands in texts of any kind.

use std::collections::BTreeSet;

use super::Tree;

/// Where a change is made, it is also told to users.
pub(super) fn changelog_has_a_place_for_changes(tree: &Tree) -> Vec<String> {
    let changelog = tree.text("CHANGELOG.md").unwrap_or_default();
    if changelog.lines().any(|line| line == "## Unreleased") {
        return Vec::new();
    }
    vec!["CHANGELOG.md: has no section `## Unreleased`".to_owned()]
}

/// The map of the code names every file of a library, and no file that is gone. Files of a directory that it
/// names are seen there.
pub(super) fn map_is_complete(tree: &Tree) -> Vec<String> {
    let map = tree.text("ARCHITECTURE.md").unwrap_or_default();
    let named: BTreeSet<&str> = map.split('`').skip(1).step_by(2).collect();
    let mut problems: BTreeSet<String> = tree
        .ending(".rs")
        .filter_map(|(path, _)| {
            path.split_once("/src/").filter(|(package, _)| package.starts_with("evercore"))
        })
        .map(|(_, file)| file)
        .filter(|file| *file != "lib.rs" && !file.ends_with("tests.rs") && !is_named(&named, file))
        .map(|file| format!("ARCHITECTURE.md: does not say what `{file}` is for"))
        .collect();
    let files: BTreeSet<&str> = tree.files().map(|(path, _)| path).collect();
    let gone = named.iter().filter(|name| {
        name.ends_with(".rs") && !files.iter().any(|path| path.ends_with(&format!("/{name}")))
    });
    problems.extend(gone.map(|name| format!("ARCHITECTURE.md: there is no file `{name}`")));
    problems.into_iter().collect()
}

fn is_named(named: &BTreeSet<&str>, file: &str) -> bool {
    let directory = file.split_once('/').map(|(directory, _)| format!("{directory}/"));
    named.contains(file) || directory.is_some_and(|directory| named.contains(directory.as_str()))
}

/// A path that exists on one machine means nothing on the next.
pub(super) fn no_path_of_one_machine(tree: &Tree) -> Vec<String> {
    let roots = [
        concat!("/ho", "me/"),
        concat!("/ro", "ot/"),
        concat!("/Us", "ers/"),
        concat!("/tm", "p/"),
        concat!("/wo", "rk/"),
        concat!("C:\\", "Users"),
    ];
    let lines =
        tree.files().flat_map(|(path, text)| text.lines().zip(1..).map(move |(line, n)| (path, n, line)));
    lines
        .filter(|(_, _, line)| roots.iter().any(|root| starts_a_path(line, root)))
        .map(|(path, number, _)| format!("{path}:{number}: names a path of one machine"))
        .collect()
}

/// Whether the path stands in the line by itself: `docs/home/` and `example.org/home/` are other paths.
fn starts_a_path(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(start, _)| {
        !line[..start].ends_with(|letter: char| letter.is_alphanumeric() || "._-}*".contains(letter))
    })
}

#[cfg(test)]
mod tests {
    use super::{Tree, changelog_has_a_place_for_changes, map_is_complete, no_path_of_one_machine};

    #[test]
    fn a_changelog_without_a_place_for_changes_is_found() {
        let good = Tree::from([("CHANGELOG.md", "# Changelog\n\n## Unreleased\n")]);
        assert!(changelog_has_a_place_for_changes(&good).is_empty());
        let bad = Tree::from([("CHANGELOG.md", "# Changelog\n\n## 0.1.0\n")]);
        assert_eq!(changelog_has_a_place_for_changes(&bad).len(), 1);
    }

    #[test]
    fn a_file_that_the_map_lacks_and_one_that_is_gone_are_found() {
        let tree = Tree::from([
            ("ARCHITECTURE.md", "`id.rs`, `context/` with `read.rs`, and `old.rs`; `EventStore`"),
            ("evercore/src/lib.rs", ""),
            ("evercore/src/id.rs", ""),
            ("evercore/src/context/read.rs", ""),
            ("evercore/src/context/write.rs", ""),
            ("evercore/src/engine/mod.rs", ""),
            ("evercore/src/new.rs", ""),
            ("evercore/src/id/tests.rs", ""),
            ("xtask/src/run.rs", ""),
        ]);
        assert_eq!(
            map_is_complete(&tree),
            [
                "ARCHITECTURE.md: does not say what `engine/mod.rs` is for",
                "ARCHITECTURE.md: does not say what `new.rs` is for",
                "ARCHITECTURE.md: there is no file `old.rs`",
            ]
        );
    }

    #[test]
    fn a_path_of_one_machine_is_found() {
        let tree = Tree::from([
            ("a.md", concat!("see\n`/ho", "me/me/evercore` and sqlite:///tm", "p/a.db\n")),
            ("b.md", "https://example.org/home/ and docs/work/a.md are fine\n"),
        ]);
        assert_eq!(no_path_of_one_machine(&tree), ["a.md:2: names a path of one machine"]);
    }
}
