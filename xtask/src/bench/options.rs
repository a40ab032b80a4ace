//! What a run is told.

use std::{fmt, str::FromStr};

use super::place::Kind;
use crate::{Failure, Result};

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Order {
    /// Measure.
    Measure(Options),
    /// Be the other process of a measurement: commit so many events to the store in the database with this URL.
    Commit { url: String, events: u32 },
}

/// On which engines, how much, how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) kinds: Vec<Kind>,
    pub(super) events: u32,
    pub(super) rounds: u32,
}

impl Order {
    /// The word by which the program starts itself again.
    pub(super) const COMMIT: &str = "commit-elsewhere";

    /// From the words behind `bench`.
    pub(super) fn parse(arguments: &[String]) -> Result<Self> {
        let mut words = arguments.iter().map(String::as_str);
        match words.next() {
            Some("subscriptions") => Options::parse(words).map(Self::Measure),
            Some(Self::COMMIT) => {
                let url = words.next().unwrap_or_default().to_owned();
                Ok(Self::Commit { url, events: number("events", words.next())? })
            }
            _ => Err(Failure::new("say what to measure: cargo xtask bench subscriptions")),
        }
    }
}

impl Options {
    fn parse<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut options = Self { kinds: Kind::ALL.to_vec(), events: 1_000_000, rounds: 5 };
        while let Some(word) = words.next() {
            match word {
                "--events" => options.events = number(word, words.next())?,
                "--rounds" => options.rounds = number(word, words.next())?,
                "--engine" => options.kinds = vec![kind(words.next().unwrap_or_default())?],
                unknown => return Err(Failure::new(format!("there is no option `{unknown}`"))),
            }
        }
        match (options.events, options.rounds) {
            (10_000.., 1..) => Ok(options),
            _ => Err(Failure::new("it takes at least 10000 events and a round")),
        }
    }
}

fn kind(name: &str) -> Result<Kind> {
    let kind = Kind::ALL.into_iter().find(|kind| kind.option() == name);
    kind.ok_or_else(|| Failure::new(format!("`--engine` needs sqlite or postgres, not `{name}`")))
}

fn number<T: FromStr>(option: &str, value: Option<&str>) -> Result<T> {
    let value = value.unwrap_or_default();
    value.parse().map_err(|_| Failure::new(format!("`{option}` needs a number, not `{value}`")))
}

/// The command that repeats the run.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kinds, events, rounds } = self;
        write!(f, "cargo xtask bench subscriptions --events {events} --rounds {rounds}")?;
        match kinds.as_slice() {
            [kind] => write!(f, " --engine {}", kind.option()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, Order};

    fn parse(words: &str) -> crate::Result<Order> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Order::parse(&words)
    }

    #[test]
    fn the_command_that_repeats_a_run_is_read_as_the_same_options() {
        for words in [
            "subscriptions",
            "subscriptions --events 20000 --rounds 2",
            "subscriptions --engine sqlite --rounds 1",
        ] {
            let Ok(Order::Measure(given)) = parse(words) else { panic!("{words} are options") };
            let repeated = given.to_string();
            let repeated = repeated.strip_prefix("cargo xtask bench ").expect("it is the command");
            assert_eq!(parse(repeated).expect("they are options"), Order::Measure(given));
        }
        let Ok(Order::Measure(given)) = parse("subscriptions --events 20000 --engine postgres") else {
            panic!("they are options")
        };
        assert_eq!((given.events, given.rounds, given.kinds), (20_000, 5, vec![Kind::Postgres]));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (words, reason) in [
            ("", "say what to measure"),
            ("subscriptions --event 3", "`--event`"),
            ("subscriptions --events x", "not `x`"),
            ("subscriptions --events 3", "at least 10000"),
            ("subscriptions --rounds 0", "a round"),
            ("subscriptions --engine memory", "not `memory`"),
        ] {
            let failure = parse(words).expect_err(words).to_string();
            assert!(failure.contains(reason), "{failure}");
        }
    }
}
