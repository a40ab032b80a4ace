//! What a writer is going to do, drawn from its seed.

use std::time::Duration;

use fastrand::Rng;

/// One transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) size: Size,
    /// Whether it gets its number before it draws positions.
    pub(super) is_early: bool,
    pub(super) savepoint: Savepoint,
    pub(super) end: End,
    /// How long it does other things before it draws positions, and between that and its end.
    pub(super) pauses: [Duration; 2],
}

/// How many events there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    /// So many, of one account that others write to as well.
    Few(i64),
    /// Ten of each of a hundred new accounts.
    Bulk,
}

/// Whether the events are written in a part of the transaction that can be undone by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Savepoint {
    None,
    Kept,
    /// Others are undone, then come those that stay.
    RolledBack,
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By the store itself, in a transaction of the store's: there is nothing else in it.
    Alone,
    /// By the application whose transaction it is.
    Committed,
    RolledBack,
}

impl Plan {
    pub(super) fn draw(random: &mut Rng) -> Self {
        let mut chance = |percent| random.u8(..100) < percent;
        let (is_early, is_bulk) = (chance(30), chance(2));
        let savepoint = match (chance(15), chance(50)) {
            (true, true) => Savepoint::RolledBack,
            (true, false) => Savepoint::Kept,
            (false, _) => Savepoint::None,
        };
        let can_be_alone = !is_early && savepoint == Savepoint::None;
        let end = match (chance(5), can_be_alone && chance(60)) {
            (true, _) => End::RolledBack,
            (false, true) => End::Alone,
            (false, false) => End::Committed,
        };
        let size = if is_bulk { Size::Bulk } else { Size::Few(random.i64(1..=4)) };
        Self { size, is_early, savepoint, end, pauses: [pause(random), pause(random)] }
    }
}

impl Size {
    /// How many events each account gets.
    pub(super) fn events_of_each(self) -> i64 {
        match self {
            Self::Few(count) => count,
            Self::Bulk => 10,
        }
    }
}

/// Mostly none or a short one.
fn pause(random: &mut Rng) -> Duration {
    let longest = match random.u8(..100) {
        0..30 => return Duration::ZERO,
        30..98 => 10_000,
        _ => 100_000,
    };
    Duration::from_micros(random.u64(..longest))
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::{End, Plan, Savepoint, Size};

    fn percentage(of: impl Fn(&Plan) -> bool) -> usize {
        let mut random = Rng::with_seed(7);
        let plans = std::iter::repeat_with(|| Plan::draw(&mut random)).take(10_000);
        plans.filter(of).count() / 100
    }

    #[test]
    fn the_same_seed_gives_the_same_plans() {
        let plans = |seed| {
            let mut random = Rng::with_seed(seed);
            std::iter::repeat_with(|| Plan::draw(&mut random)).take(50).collect::<Vec<_>>()
        };
        assert_eq!(plans(1), plans(1));
        assert_ne!(plans(1), plans(2));
    }

    #[test]
    fn all_kinds_of_transactions_come() {
        assert!((28..=32).contains(&percentage(|plan| plan.is_early)));
        assert!((4..=6).contains(&percentage(|plan| plan.end == End::RolledBack)));
        assert!((5..=9).contains(&percentage(|plan| plan.savepoint == Savepoint::RolledBack)));
        assert!((5..=9).contains(&percentage(|plan| plan.savepoint == Savepoint::Kept)));
        assert!((30..=40).contains(&percentage(|plan| plan.end == End::Alone)));
        assert!((1..=3).contains(&percentage(|plan| plan.size == Size::Bulk)));
        assert!(percentage(|plan| plan.pauses.iter().any(|pause| !pause.is_zero())) > 80);
    }
}
