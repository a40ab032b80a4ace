//! Times on their way to and from the server, as it keeps them: microseconds since the year 2000.

use evercore::engine::Timestamp;
use sqlx::{
    Encode, Postgres, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, types::Oid},
};

/// Microseconds from 1970-01-01T00:00:00Z, where Evercore's times begin, to 2000-01-01T00:00:00Z.
const EPOCH: i64 = 946_684_800_000_000;

/// The first time that the server knows, in the year 4714 before our era.
const FIRST: i64 = -211_813_488_000_000_000;

/// A time that is bound as `timestamptz`. sqlx binds those of other crates, with features that would
/// change what the application's own queries infer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time(pub(crate) Timestamp);

impl Time {
    /// The same, or the first time that the server knows: to compare with what is stored, which is never earlier.
    pub(crate) fn to_compare(time: Timestamp) -> Self {
        Self(Timestamp::from_micros(FIRST + EPOCH).map_or(time, |first| time.max(first)))
    }
}

/// The time that the server sent; `None` when it is infinite, or further away than Evercore's times go.
pub(crate) fn from_server(micros: i64) -> Option<Timestamp> {
    match micros {
        i64::MIN | i64::MAX => None,
        micros => micros.checked_add(EPOCH).and_then(Timestamp::from_micros),
    }
}

// The numbers of built-in types never change.
impl Type<Postgres> for Time {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1184))
    }
}

impl PgHasArrayType for Time {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(1185))
    }
}

impl Encode<'_, Postgres> for Time {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let micros = self
            .0
            .micros()
            .checked_sub(EPOCH)
            .ok_or("the time is before the first one that can be stored")?;
        Encode::<Postgres>::encode(micros, buffer)
    }
}

#[cfg(test)]
mod tests {
    use evercore::engine::Timestamp;

    use super::{EPOCH, from_server};

    #[test]
    fn times_begin_in_the_year_2000() {
        assert_eq!(from_server(0), Timestamp::from_micros(EPOCH));
        assert_eq!(from_server(0).map(|time| time.to_string()).as_deref(), Some("2000-01-01T00:00:00Z"));
        assert_eq!(from_server(-EPOCH - 1), Timestamp::from_micros(-1));
    }

    #[test]
    fn infinite_times_are_none() {
        assert_eq!((from_server(i64::MIN), from_server(i64::MAX)), (None, None));
    }
}
