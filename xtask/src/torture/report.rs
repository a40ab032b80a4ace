//! What came out of a run.

use std::{fmt, time::Duration};

use super::{
    judge::{Books, Verdict},
    lags::Lags,
    writer::Tally,
};

/// What came out of a run; shown as a table.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) tally: Tally,
    pub(super) stored: usize,
    pub(super) books: Books,
    pub(super) readers: Vec<ReaderReport>,
    /// How long it took the readers to get what was left when the last writer had ended.
    pub(super) rest: Duration,
}

/// What came out for a reader.
#[derive(Debug)]
pub(super) struct ReaderReport {
    pub(super) name: &'static str,
    pub(super) verdict: Verdict,
    /// Of what was committed without strangers, and of what was committed beside them.
    pub(super) lags: [Lags; 2],
}

impl Report {
    pub(super) fn is_clean(&self) -> bool {
        self.books.is_clean() && self.readers.iter().all(|reader| reader.verdict.is_clean())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { committed, rolled_back, refused, early, savepoints, bulk } = self.tally;
        writeln!(
            f,
            "{committed} transactions committed, {rolled_back} rolled back, {refused} refused; among them\n\
             {early} with an early number, {savepoints} with savepoints, {bulk} of 1000 events"
        )?;
        let Books { missing, unreported } = self.books;
        writeln!(f, "{} events stored, {missing} missing, {unreported} unreported", self.stored)?;
        writeln!(f, "{:.0} ms to read the rest, beside strangers", self.rest.as_secs_f64() * 1e3)?;
        write!(f, "\n{:20}{:>9}{:>7}{:>12}{:>11}", "reader", "events", "lost", "duplicated", "reordered")?;
        write!(f, "{:>12}{:>9}", "inversions", "unknown")?;
        for reader in &self.readers {
            let Verdict { events, lost, duplicated, reordered, inversions, unknown } = reader.verdict;
            write!(f, "\n{:20}{events:9}{lost:7}{duplicated:12}{reordered:11}", reader.name)?;
            write!(f, "{inversions:12}{unknown:9}")?;
        }
        write!(f, "\n\n{:20}  without strangers            beside strangers", "lag in ms")?;
        write!(f, "\n{:20}{}   {}", "reader", Lags::HEAD, Lags::HEAD)?;
        for ReaderReport { name, lags: [without, beside], .. } in &self.readers {
            write!(f, "\n{name:20}{without}   {beside}")?;
        }
        Ok(())
    }
}
