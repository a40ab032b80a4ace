//! Decision records.

use super::Tree;

const DIRECTORY: &str = "evercore/docs/decisions/";
const INDEX: &str = "evercore/src/documentation.rs";

/// `0007-short-title.md`; no number is used twice.
pub(super) fn decisions_are_named_and_numbered(tree: &Tree) -> Vec<String> {
    let mut problems = Vec::new();
    let mut previous = "";
    for name in names(tree) {
        if !is_named_well(name) {
            problems.push(format!("{DIRECTORY}{name}: name it like 0007-short-title.md"));
        }
        let number = name.split('-').next().unwrap_or_default();
        if number == previous {
            problems.push(format!("{DIRECTORY}{name}: the number {number} is taken"));
        }
        previous = number;
    }
    problems
}

/// What is not in the rendered documentation is not found.
pub(super) fn decisions_are_rendered(tree: &Tree) -> Vec<String> {
    let index = tree.text(INDEX).unwrap_or_default();
    let missing = names(tree).filter(|name| !index.contains(&format!("decisions/{name}\"")));
    missing.map(|name| format!("{DIRECTORY}{name}: include it in {INDEX}")).collect()
}

fn names(tree: &Tree) -> impl Iterator<Item = &str> {
    tree.files().filter_map(|(path, _)| path.strip_prefix(DIRECTORY))
}

fn is_named_well(name: &str) -> bool {
    let Some((number, title)) = name.strip_suffix(".md").and_then(|stem| stem.split_once('-')) else {
        return false;
    };
    let in_title = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    number.len() == 4
        && number.chars().all(|digit| digit.is_ascii_digit())
        && !title.is_empty()
        && title.chars().all(in_title)
}

#[cfg(test)]
mod tests {
    use super::{Tree, decisions_are_named_and_numbered, decisions_are_rendered};

    #[test]
    fn a_record_without_number_or_title_is_found() {
        let tree = Tree::from([
            ("evercore/docs/decisions/0001-a-title-2.md", ""),
            ("evercore/docs/decisions/0002.md", ""),
            ("evercore/docs/decisions/03-title.md", ""),
            ("evercore/docs/decisions/0004-A Title.md", ""),
            ("evercore/docs/guide.md", ""),
        ]);
        assert_eq!(decisions_are_named_and_numbered(&tree).len(), 3);
    }

    #[test]
    fn a_number_used_twice_is_found() {
        let tree = Tree::from([
            ("evercore/docs/decisions/0001-a.md", ""),
            ("evercore/docs/decisions/0001-b.md", ""),
        ]);
        assert_eq!(
            decisions_are_named_and_numbered(&tree),
            ["evercore/docs/decisions/0001-b.md: the number 0001 is taken"]
        );
    }

    #[test]
    fn a_record_that_is_not_rendered_is_found() {
        let tree = Tree::from([
            ("evercore/docs/decisions/0001-a.md", ""),
            ("evercore/docs/decisions/0002-b.md", ""),
            ("evercore/src/documentation.rs", r#"#[doc = include_str!("../docs/decisions/0001-a.md")]"#),
        ]);
        assert_eq!(
            decisions_are_rendered(&tree),
            ["evercore/docs/decisions/0002-b.md: include it in evercore/src/documentation.rs"]
        );
    }
}
