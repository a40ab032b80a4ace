//! `cargo xtask bench compile`: how long it takes to compile an application's aggregates and events, beside the same
//! types without this library.
//!
//! The crates that are compiled are written by `program.rs`. Their dependencies are compiled before, so that what is
//! measured is one call of the compiler, without what an earlier one has left (`CARGO_INCREMENTAL=0`). All variants take
//! turns, several times; the medians are shown. Read the ratios: machines differ, and so does what else they do.

mod program;

use std::{fs, path::Path, time::Instant};

use self::program::Variant;
use crate::{
    Failure, Result,
    run::{Cargo, root},
};

/// The two calls of cargo for which people wait.
const CALLS: [&str; 2] = ["check", "build"];

/// A variant, how it is compiled, and the seconds that it took.
struct Measured {
    variant: Variant,
    call: &'static str,
    seconds: Vec<f64>,
}

/// Measures and prints a table.
///
/// # Errors
///
/// When something does not compile.
pub fn compile(arguments: &[String]) -> Result {
    let rounds = rounds(arguments)?;
    let place = root().join("target/compile");
    program::write(&place)?;
    let all = Variant::ALL.iter().flat_map(|variant| CALLS.map(|call| (*variant, call)));
    let mut measured: Vec<_> =
        all.map(|(variant, call)| Measured { variant, call, seconds: Vec::new() }).collect();
    for round in 0..=rounds {
        for one in &mut measured {
            let seconds = seconds(&place, one)?;
            // The first round compiles the dependencies.
            if round > 0 {
                one.seconds.push(seconds);
            }
        }
    }
    println!("\n{}\n\nthe same again:\n\n    cargo xtask bench compile --rounds {rounds}", table(&measured));
    Ok(())
}

fn rounds(arguments: &[String]) -> Result<u32> {
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    let rounds = match words.as_slice() {
        [] => Some(5),
        ["--rounds", rounds] => rounds.parse().ok().filter(|rounds| *rounds > 0),
        _ => None,
    };
    rounds.ok_or_else(|| Failure::new("cargo xtask bench compile [--rounds N]"))
}

/// Compiles the crate of a variant anew.
fn seconds(place: &Path, one: &Measured) -> Result<f64> {
    let source = place.join(one.variant.name()).join("src/lib.rs");
    let text = fs::read(&source).map_err(Failure::at(&source))?;
    fs::write(&source, text).map_err(Failure::at(&source))?;
    let cargo = Cargo::new("").with_argument(one.call).with_argument("--quiet");
    let cargo = cargo.with_argument(format!("--package={}", one.variant.name()));
    let cargo = cargo.with_variable("CARGO_INCREMENTAL", "0").in_directory(place.to_owned());
    let start = Instant::now();
    cargo.run()?;
    Ok(start.elapsed().as_secs_f64())
}

fn table(measured: &[Measured]) -> String {
    let mut lines = vec![format!("{:44}{:>16}{:>16}", program::summary(), CALLS[0], CALLS[1])];
    for variant in Variant::ALL {
        let figures = CALLS.map(|call| {
            let seconds = median(measured, variant, call);
            let ratio = seconds / median(measured, Variant::ByHand, call);
            format!("{seconds:8.2} s {ratio:5.2}")
        });
        lines.push(format!("{:44}{}", variant.summary(), figures.concat()));
    }
    lines.join("\n")
}

fn median(measured: &[Measured], variant: Variant, call: &str) -> f64 {
    let Some(one) = measured.iter().find(|one| one.variant == variant && one.call == call) else {
        return f64::NAN;
    };
    let mut seconds = one.seconds.clone();
    seconds.sort_unstable_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::{CALLS, Measured, Variant, rounds, table};

    #[test]
    fn the_number_of_rounds_is_read() {
        let parse =
            |words: &[&str]| rounds(&words.iter().copied().map(str::to_owned).collect::<Vec<_>>()).ok();
        assert_eq!(parse(&[]), Some(5));
        assert_eq!(parse(&["--rounds", "3"]), Some(3));
        for wrong in [&["--rounds"][..], &["--rounds", "0"], &["3"]] {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn ratios_are_those_to_what_is_written_by_hand() {
        let seconds = |variant| match variant {
            Variant::Macros => vec![9.0, 3.0, 1.0],
            Variant::ByHand => vec![2.0, 2.0, 7.0],
            Variant::SerdeOnly => vec![1.0],
        };
        let all = Variant::ALL.iter().flat_map(|variant| CALLS.map(|call| (*variant, call)));
        let measured: Vec<_> =
            all.map(|(variant, call)| Measured { variant, call, seconds: seconds(variant) }).collect();
        let table = table(&measured);
        let [_, macros, by_hand, serde_only] = table.lines().collect::<Vec<_>>()[..] else {
            panic!("{table}");
        };
        for (line, figures) in
            [(macros, "3.00 s  1.50"), (by_hand, "2.00 s  1.00"), (serde_only, "1.00 s  0.50")]
        {
            assert_eq!(line.matches(figures).count(), 2, "{table}");
        }
    }
}
