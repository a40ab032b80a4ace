//! What a run is told.

use std::{fmt, str::FromStr, time::Duration};

use crate::{Failure, Result};

/// How long, how many, and from which seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) duration: Duration,
    pub(super) seed: u64,
    pub(super) writers: u32,
    pub(super) readers: u32,
    /// Whether readers look at what can be seen and wait for nobody.
    pub(super) without_horizon: bool,
    /// Whether to measure instead of judging.
    pub(super) lag: bool,
}

impl Options {
    /// From the words behind `torture`.
    pub(super) fn parse(arguments: &[String]) -> Result<Self> {
        let mut words = arguments.iter().map(String::as_str);
        match words.next() {
            Some("postgres") => {}
            _ => return Err(Failure::new("say which engine: cargo xtask torture postgres")),
        }
        let mut options = Self::new(fastrand::u64(..));
        while let Some(word) = words.next() {
            match word {
                "--seconds" => options.duration = Duration::from_secs(number(word, words.next())?),
                "--seed" => options.seed = number(word, words.next())?,
                "--writers" => options.writers = number(word, words.next())?,
                "--readers" => options.readers = number(word, words.next())?,
                "--without-horizon" => options.without_horizon = true,
                "--lag" => options.lag = true,
                unknown => return Err(Failure::new(format!("there is no option `{unknown}`"))),
            }
        }
        Ok(options)
    }

    pub(super) fn new(seed: u64) -> Self {
        let duration = Duration::from_secs(20);
        Self { duration, seed, writers: 16, readers: 3, without_horizon: false, lag: false }
    }
}

fn number<T: FromStr>(option: &str, value: Option<&str>) -> Result<T> {
    let value = value.unwrap_or_default();
    value.parse().map_err(|_| Failure::new(format!("`{option}` needs a number, not `{value}`")))
}

/// The command that repeats the run.
impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { duration, seed, writers, readers, without_horizon, lag } = self;
        write!(f, "cargo xtask torture postgres --seconds {}", duration.as_secs())?;
        if *lag {
            return f.write_str(" --lag");
        }
        write!(f, " --seed {seed} --writers {writers} --readers {readers}")?;
        f.write_str(if *without_horizon { " --without-horizon" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::Options;

    fn parse(words: &str) -> crate::Result<Options> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn the_command_that_repeats_a_run_is_read_as_the_same_options() {
        let given = parse("postgres --seed 7 --seconds 30 --writers 4 --readers 2 --without-horizon");
        let given = given.expect("they are options");
        let repeated = given.to_string();
        let repeated = repeated.strip_prefix("cargo xtask torture ").expect("it is the command");
        assert_eq!(parse(repeated).expect("they are options"), given);
        assert_eq!((given.seed, given.duration.as_secs()), (7, 30));
        assert_eq!((given.writers, given.readers), (4, 2));
        let measuring = parse("postgres --lag").expect("they are options").to_string();
        assert_eq!(measuring, "cargo xtask torture postgres --seconds 20 --lag");
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (words, reason) in [
            ("", "say which engine"),
            ("sqlite", "say which engine"),
            ("postgres --second 3", "`--second`"),
            ("postgres --seed x", "not `x`"),
            ("postgres --seed", "`--seed` needs a number"),
        ] {
            let failure = parse(words).expect_err(words).to_string();
            assert!(failure.contains(reason), "{failure}");
        }
    }
}
