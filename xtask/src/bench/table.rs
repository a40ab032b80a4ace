//! What came out.

use std::fmt;

use super::place::Kind;

/// All figures, in the order in which they were measured.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Row>);

#[derive(Debug)]
struct Row {
    kind: Kind,
    what: &'static str,
    figure: Figure,
    target: Option<Figure>,
}

/// A figure, or what it should be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Figure {
    EventsPerSecond(f64),
    Milliseconds(f64),
    Ratio(f64),
    Megabytes(f64),
    StatementsPerSecond(f64),
    PercentOfCore(f64),
    AtLeast(f64),
    AtMost(f64),
}

impl Table {
    pub(super) fn add(&mut self, kind: Kind, what: &'static str, figure: Figure, target: Option<Figure>) {
        self.0.push(Row { kind, what, figure, target });
    }
}

impl Figure {
    fn value(self) -> f64 {
        match self {
            Self::EventsPerSecond(value)
            | Self::Milliseconds(value)
            | Self::Ratio(value)
            | Self::Megabytes(value)
            | Self::StatementsPerSecond(value)
            | Self::PercentOfCore(value)
            | Self::AtLeast(value)
            | Self::AtMost(value) => value,
        }
    }

    fn is_met_by(self, figure: Self) -> bool {
        match self {
            Self::AtLeast(limit) => figure.value() >= limit,
            _ => figure.value() <= self.value(),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::EventsPerSecond(value) => format!("{value:.0} events/s"),
            Self::Milliseconds(value) => format!("{value:.2} ms"),
            Self::Ratio(value) => format!("{value:.3}"),
            Self::Megabytes(value) => format!("{value:.1} MB"),
            Self::StatementsPerSecond(value) => format!("{value:.1} statements/s"),
            Self::PercentOfCore(value) => format!("{value:.1} % of a core"),
            Self::AtLeast(value) => format!("at least {value}"),
            Self::AtMost(value) => format!("at most {value}"),
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:12}{:34}{:>20}   target", "engine", "", "measured")?;
        for Row { kind, what, figure, target } in &self.0 {
            write!(f, "\n{kind:12}{what:34}{figure:>20}")?;
            if let Some(target) = target {
                let verdict = if target.is_met_by(*figure) { "" } else { ": missed" };
                write!(f, "   {target}{verdict}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Figure, Kind, Table};

    #[test]
    fn a_target_that_is_missed_is_named() {
        let mut table = Table::default();
        table.add(Kind::Sqlite, "one", Figure::Ratio(0.9), Some(Figure::AtLeast(0.8)));
        table.add(Kind::Sqlite, "two", Figure::Ratio(0.7), Some(Figure::AtLeast(0.8)));
        table.add(Kind::Postgres, "three", Figure::Milliseconds(2.0), Some(Figure::AtMost(3.0)));
        table.add(Kind::Postgres, "four", Figure::Milliseconds(4.0), Some(Figure::AtMost(3.0)));
        let text = table.to_string();
        let missed = |what: &str| text.lines().any(|line| line.contains(what) && line.ends_with(": missed"));
        assert_eq!(["one", "two", "three", "four"].map(missed), [false, true, false, true], "{text}");
    }
}
