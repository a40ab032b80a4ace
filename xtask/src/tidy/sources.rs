//! What stands in Rust files.
//!
//! The words that are looked for are put together by `concat!`, so that this file does not contain them.

use super::Tree;

const LONGEST: usize = 500;

/// Code is finished when it is committed.
pub(super) fn nothing_is_unfinished(tree: &Tree) -> Vec<String> {
    let words = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")];
    lines_with(tree.ending(".rs"), &words, "is not for committed code")
}

/// A test that does not run proves nothing, and one that expects any panic proves little.
pub(super) fn no_test_is_switched_off(tree: &Tree) -> Vec<String> {
    let words = [concat!("#[", "ignore"), concat!("#[should", "_panic"), concat!("```", "ignore")];
    lines_with(tree.ending(".rs"), &words, "write a test that runs and asserts")
}

/// A test that sleeps is slow on a fast machine and fails on a slow one.
pub(super) fn no_test_sleeps(tree: &Tree) -> Vec<String> {
    let tests = tree.ending(".rs").filter(|(path, _)| is_test(path));
    lines_with(tests, &[concat!("sleep", "("), concat!("sleep", "_until(")], "wait for what should happen")
}

/// One concept is one file. Tests, which are lists of cases, may be longer.
pub(super) fn files_are_short(tree: &Tree) -> Vec<String> {
    let sources = tree.ending(".rs").filter(|(path, _)| path.contains("/src/") && !is_test(path));
    sources
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, length)| *length > LONGEST)
        .map(|(path, length)| format!("{path}: has {length} lines, the limit is {LONGEST}; split it"))
        .collect()
}

fn is_test(path: &str) -> bool {
    let test = ["tests", "conformance", "tests.rs"];
    path.split('/').any(|part| test.contains(&part))
}

fn lines_with<'a>(
    files: impl Iterator<Item = (&'a str, &'a str)>,
    words: &[&str],
    advice: &str,
) -> Vec<String> {
    let lines = files.flat_map(|(path, text)| text.lines().zip(1..).map(move |(line, n)| (path, n, line)));
    lines
        .filter_map(|(path, number, line)| {
            let word = words.iter().find(|word| line.contains(**word))?;
            Some(format!("{path}:{number}: `{word}`: {advice}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Tree, files_are_short, no_test_is_switched_off, no_test_sleeps, nothing_is_unfinished};

    #[test]
    fn unfinished_code_is_found() {
        let tree = Tree::from([
            ("a/src/lib.rs", concat!("fn a() {\n    to", "do!()\n}\nfn b() { unimpl", "emented!() }\n")),
            ("b/src/lib.rs", concat!("let x = db", "g!(1);\n")),
            ("c/src/lib.rs", "let todo = 1;\n"),
        ]);
        let found = nothing_is_unfinished(&tree);
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].starts_with("a/src/lib.rs:2: "), "{found:?}");
    }

    #[test]
    fn tests_that_do_not_run_are_found() {
        let tree = Tree::from([
            (
                "a/tests/a.rs",
                concat!("#[ig", "nore = \"slow\"]\nfn a() {}\n#[should", "_panic]\nfn b() {}\n"),
            ),
            ("a/src/lib.rs", concat!("/// ```ig", "nore\n/// ```\nfn a() {}\n")),
            ("b/src/lib.rs", "/// Do not ignore the result.\n#[test]\nfn a() {}\n"),
        ]);
        assert_eq!(no_test_is_switched_off(&tree).len(), 3);
    }

    #[test]
    fn a_test_that_sleeps_is_found() {
        let line = concat!("tokio::time::sl", "eep(x).await;\n");
        let tree = Tree::from([
            ("evercore/src/retry.rs", line),
            ("evercore/src/conformance/events.rs", line),
            ("evercore/tests/it/main.rs", line),
        ]);
        let found = no_test_sleeps(&tree);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|problem| !problem.contains("retry")));
    }

    #[test]
    fn a_long_file_is_found() {
        let (longest, too_long) = ("a();\n".repeat(500), "a();\n".repeat(501));
        let tree = Tree::from([
            ("a/src/a.rs", longest.as_str()),
            ("a/src/b.rs", too_long.as_str()),
            ("a/src/conformance/c.rs", too_long.as_str()),
            ("a/src/tests.rs", too_long.as_str()),
            ("a/tests/it/d.rs", too_long.as_str()),
        ]);
        assert_eq!(files_are_short(&tree), ["a/src/b.rs: has 501 lines, the limit is 500; split it"]);
    }
}
