//! Counting tests from what the test runners print.

use std::{fmt, ops::Add};

/// How many tests ran.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct TestCount {
    /// Those that passed.
    pub passed: u64,
    /// Those that did not.
    pub failed: u64,
}

impl TestCount {
    /// Reads cargo-nextest's summary, `Summary [ 0.1s] 3 tests run: 2 passed (1 slow), 1 failed, 0 skipped`;
    /// `None` if there is none.
    pub(crate) fn of_nextest(output: &str) -> Option<Self> {
        let summary = output.lines().rfind(|line| line.trim_start().starts_with("Summary ["))?;
        let (_, results) = summary.split_once(" run: ")?;
        let mut count = Self::default();
        for result in without_parentheses(results).split(',') {
            let (number, outcome) = result.trim().split_once(' ')?;
            let number: u64 = number.parse().ok()?;
            match outcome.trim() {
                "passed" => count.passed += number,
                "skipped" => {}
                // `failed`, `exec failed`, `timed out`
                _ => count.failed += number,
            }
        }
        Some(count)
    }

    /// Adds up the lines that `cargo test` prints, `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
    pub(crate) fn of_cargo_test(output: &str) -> Self {
        let results = output.lines().filter_map(|line| line.trim_start().strip_prefix("test result: "));
        results.fold(Self::default(), |count, result| {
            count + Self { passed: number_before(result, "passed"), failed: number_before(result, "failed") }
        })
    }
}

impl Add for TestCount {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

impl fmt::Display for TestCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn without_parentheses(text: &str) -> String {
    text.split('(').map(|part| part.split_once(')').map_or(part, |(_, after)| after)).collect()
}

fn number_before(text: &str, word: &str) -> u64 {
    let before = text.split_whitespace().zip(text.split_whitespace().skip(1));
    let number =
        before.filter(|(_, next)| next.trim_end_matches(';') == word).find_map(|(n, _)| n.parse().ok());
    number.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::TestCount;

    #[test]
    fn nextest_that_passed() {
        let output = "        PASS [   0.003s] xtask a\n────────────\n     Summary [   0.005s] 12 tests run: 12 passed, 0 skipped\n";
        assert_eq!(TestCount::of_nextest(output), Some(TestCount { passed: 12, failed: 0 }));
    }

    #[test]
    fn nextest_that_failed_in_every_way() {
        let output = "     Summary [  61.005s] 9/12 tests run: 4 passed (1 slow, 2 leaky), 3 failed (1 due to being leaky), 1 exec failed, 1 timed out, 7 skipped\n        FAIL [   0.003s] xtask a\n";
        assert_eq!(TestCount::of_nextest(output), Some(TestCount { passed: 4, failed: 5 }));
    }

    #[test]
    fn nextest_without_a_summary() {
        assert_eq!(TestCount::of_nextest("error: could not compile `evercore`\n"), None);
    }

    #[test]
    fn cargo_test_adds_up_all_its_parts() {
        let output = "running 3 tests\ntest a ... ok\n\ntest result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n\ntest result: FAILED. 10 passed; 2 failed; 0 ignored; 0 measured; 4 filtered out; finished in 0.00s\n";
        assert_eq!(TestCount::of_cargo_test(output), TestCount { passed: 13, failed: 2 });
        assert_eq!(TestCount::of_cargo_test("no tests here"), TestCount::default());
    }

    #[test]
    fn the_last_line_of_a_run() {
        assert_eq!(TestCount { passed: 13, failed: 0 }.to_string(), "13 passed, 0 failed");
    }
}
