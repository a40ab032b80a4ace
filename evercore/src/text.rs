//! The limits of the texts that a store keeps, checked once, when such a text enters.

/// A text that no store can keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidText {
    /// It has no characters.
    #[error("{what} is empty")]
    Empty {
        /// What the text is.
        what: &'static str,
    },
    /// It is too long.
    #[error("{what} is {bytes} bytes long, the limit is {limit}")]
    TooLong {
        /// What the text is.
        what: &'static str,
        /// Its length in bytes.
        bytes: usize,
        /// The most bytes that it may have.
        limit: usize,
    },
    /// It contains U+0000, which PostgreSQL cannot store.
    #[error("{what} contains U+0000 at byte {at}")]
    Nul {
        /// What the text is.
        what: &'static str,
        /// Where in the text.
        at: usize,
    },
}

/// A kind of text and its limits.
#[derive(Debug)]
pub(crate) struct Text {
    what: &'static str,
    min: usize,
    max: usize,
}

impl Text {
    pub(crate) const NATURAL_KEY: Self = Self { what: "natural key", min: 1, max: 255 };
    pub(crate) const IDEMPOTENCY_KEY: Self = Self { what: "idempotency key", min: 1, max: 255 };
    pub(crate) const AGGREGATE_TYPE: Self = Self { what: "name of an aggregate type", min: 1, max: 255 };
    pub(crate) const EVENT_TYPE: Self = Self { what: "name of an event type", min: 1, max: 255 };
    pub(crate) const SUBSCRIPTION: Self = Self { what: "name of a subscription", min: 1, max: 255 };
    pub(crate) const OWNER: Self = Self { what: "name of an owner", min: 1, max: 255 };
    pub(crate) const REFERENCE: Self = Self { what: "reference", min: 0, max: 65_535 };

    pub(crate) fn check(&self, text: &str) -> Result<(), InvalidText> {
        let what = self.what;
        if text.len() < self.min {
            return Err(InvalidText::Empty { what });
        }
        if text.len() > self.max {
            return Err(InvalidText::TooLong { what, bytes: text.len(), limit: self.max });
        }
        match text.find('\0') {
            Some(at) => Err(InvalidText::Nul { what, at }),
            None => Ok(()),
        }
    }
}
