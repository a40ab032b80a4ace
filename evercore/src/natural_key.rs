//! Natural keys: names that applications give to aggregates.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::{InvalidText, Text};

/// A name that an application gives to an aggregate, unique within its aggregate type: an e-mail address,
/// an order number. 1 to 255 bytes of UTF-8 without U+0000, compared byte by byte.
///
/// ```
/// use evercore::NaturalKey;
///
/// let key = NaturalKey::new("john@example.com")?;
/// assert_eq!(key.as_str(), "john@example.com");
///
/// let error = NaturalKey::new("x".repeat(256)).unwrap_err();
/// assert_eq!(error.to_string(), "natural key is 256 bytes long, the limit is 255");
/// # Ok::<(), evercore::InvalidText>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NaturalKey(Arc<str>);

impl NaturalKey {
    /// The most bytes that a key may have.
    pub const MAX_BYTES: usize = 255;

    /// Checks the key.
    ///
    /// # Errors
    ///
    /// When it is empty, longer than [`MAX_BYTES`](Self::MAX_BYTES), or contains U+0000.
    pub fn new(key: impl Into<Arc<str>>) -> Result<Self, InvalidText> {
        let key = key.into();
        Text::NATURAL_KEY.check(&key)?;
        Ok(Self(key))
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for NaturalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for NaturalKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for NaturalKey {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for NaturalKey {
    type Error = InvalidText;

    fn try_from(key: &str) -> Result<Self, Self::Error> {
        Self::new(key)
    }
}

/// For what an iterator over `&[&str]` gives.
impl TryFrom<&&str> for NaturalKey {
    type Error = InvalidText;

    fn try_from(key: &&str) -> Result<Self, Self::Error> {
        Self::new(*key)
    }
}

impl TryFrom<String> for NaturalKey {
    type Error = InvalidText;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        Self::new(key)
    }
}

impl TryFrom<&String> for NaturalKey {
    type Error = InvalidText;

    fn try_from(key: &String) -> Result<Self, Self::Error> {
        Self::new(key.as_str())
    }
}

impl From<&Self> for NaturalKey {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl Serialize for NaturalKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for NaturalKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
