//! What stands in texts of any kind.

use super::Tree;

/// Where a change is made, it is also told to users.
pub(super) fn changelog_has_a_place_for_changes(tree: &Tree) -> Vec<String> {
    let changelog = tree.text("CHANGELOG.md").unwrap_or_default();
    if changelog.lines().any(|line| line == "## Unreleased") {
        return Vec::new();
    }
    vec!["CHANGELOG.md: has no section `## Unreleased`".to_owned()]
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
    use super::{Tree, changelog_has_a_place_for_changes, no_path_of_one_machine};

    #[test]
    fn a_changelog_without_a_place_for_changes_is_found() {
        let good = Tree::from([("CHANGELOG.md", "# Changelog\n\n## Unreleased\n")]);
        assert!(changelog_has_a_place_for_changes(&good).is_empty());
        let bad = Tree::from([("CHANGELOG.md", "# Changelog\n\n## 0.1.0\n")]);
        assert_eq!(changelog_has_a_place_for_changes(&bad).len(), 1);
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
