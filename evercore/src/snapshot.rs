//! Snapshots: states that are stored so that a load need not replay every event.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::{Aggregate, Codec, DecodeError, EncodeError, Payload, Sequence, hash::fnv1a};

/// Says that snapshots of this aggregate can be taken; implemented by the derive unless `snapshot = off`.
#[diagnostic::on_unimplemented(
    message = "snapshots of `{Self}` are off",
    note = "remove `snapshot = off` from `#[aggregate(…)]` on `{Self}`, or say `snapshot_every = N`"
)]
pub trait SnapshotAggregate: Aggregate {}

/// A state that can be stored: every type that is `Serialize` and `Deserialize`.
#[diagnostic::on_unimplemented(
    message = "snapshots of `{Self}` need serde",
    label = "is not `Serialize` and `Deserialize`",
    note = "add `#[derive(Serialize, Deserialize)]`, or say `#[aggregate(snapshot = off)]`"
)]
pub trait SnapshotState: Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<A: Serialize + DeserializeOwned> SnapshotState for A {}

/// Whether and when snapshots of an aggregate are taken, and how its state is stored.
pub struct Snapshots<A>(Option<Enabled<A>>);

struct Enabled<A> {
    every: i64,
    fingerprint: Fingerprint,
    codec: Codec,
    encode: fn(Codec, &A) -> Result<Payload, EncodeError>,
    decode: fn(&Payload) -> Result<A, DecodeError>,
}

impl<A> Snapshots<A> {
    /// How many events lie between two snapshots when the aggregate does not say.
    pub const DEFAULT_EVERY: i64 = 50;

    /// No snapshots.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// One every `every` events, at least 1; `shape` is a text that differs when the state is written differently.
    #[must_use]
    pub const fn every(every: i64, shape: &str) -> Self
    where
        A: SnapshotState,
    {
        let every = if every < 1 { 1 } else { every };
        let fingerprint = Fingerprint(fnv1a(shape.as_bytes()).cast_signed());
        Self(Some(Enabled {
            every,
            fingerprint,
            codec: Codec::JSON,
            encode: Payload::encode_as,
            decode: Payload::decode,
        }))
    }

    /// The same, written in this codec. Snapshots of all codecs are read.
    #[must_use]
    pub const fn with_codec(self, codec: Codec) -> Self {
        match self {
            Self(Some(enabled)) => Self(Some(Enabled { codec, ..enabled })),
            Self(None) => self,
        }
    }

    /// The fingerprint of the snapshots that are written and accepted; `None` when they are off.
    #[must_use]
    pub fn fingerprint(&self) -> Option<Fingerprint> {
        self.0.as_ref().map(|enabled| enabled.fingerprint)
    }

    /// Whether a multiple of N lies in `(before, after]`.
    pub(crate) fn is_due(&self, before: Sequence, after: Sequence) -> bool {
        self.0.as_ref().is_some_and(|enabled| before.get() / enabled.every < after.get() / enabled.every)
    }

    pub(crate) fn encode(&self, state: &A) -> Option<Result<Payload, EncodeError>> {
        self.0.as_ref().map(|enabled| (enabled.encode)(enabled.codec, state))
    }

    pub(crate) fn decode(&self, payload: &Payload) -> Option<Result<A, DecodeError>> {
        self.0.as_ref().map(|enabled| (enabled.decode)(payload))
    }
}

impl<A> fmt::Debug for Snapshots<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(enabled) => write!(f, "every {} events", enabled.every),
            None => f.write_str("off"),
        }
    }
}

/// Tells whether a stored state was written by a type of the same shape. Equal fingerprints say that names
/// and types of the fields were the same as written in the source; nested types are not looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(i64);

impl Fingerprint {
    /// The fingerprint with this number.
    #[must_use]
    pub const fn new(value: i64) -> Self {
        Self(value)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Sequence, Snapshots};

    #[test]
    fn one_is_due_when_a_multiple_is_crossed() {
        let due = |every, before, after| {
            Snapshots::<u32>::every(every, "").is_due(Sequence::new(before), Sequence::new(after))
        };
        assert!(due(5, 4, 5) && due(5, 3, 7) && due(5, 0, 10));
        assert!(!due(5, 0, 4) && !due(5, 5, 9) && !due(5, 5, 5));
        assert!(due(0, 0, 1), "less than 1 counts as 1");
    }
}
