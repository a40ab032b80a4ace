//! What an application wants to know about an event besides the event itself.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Free-form facts about an event, a JSON object: who caused it, on whose behalf, from where.
///
/// ```
/// use evercore::Metadata;
///
/// let metadata = Metadata::new().with_correlation_id("request-7").with("ip", "192.0.2.1");
/// assert_eq!(metadata.correlation_id(), Some("request-7"));
/// assert_eq!(metadata.get("ip").and_then(|ip| ip.as_str()), Some("192.0.2.1"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Metadata(Map<String, Value>);

impl Metadata {
    const CORRELATION_ID: &'static str = "correlation_id";
    const CAUSATION_ID: &'static str = "causation_id";

    /// No facts.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a fact, or replaces the one of this name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.insert(name.into(), value.into());
        self
    }

    /// Names the conversation that the event is part of: one id for everything that a request set off.
    #[must_use]
    pub fn with_correlation_id(self, id: impl Into<String>) -> Self {
        self.with(Self::CORRELATION_ID, id.into())
    }

    /// Names the command or event that directly led to this one.
    #[must_use]
    pub fn with_causation_id(self, id: impl Into<String>) -> Self {
        self.with(Self::CAUSATION_ID, id.into())
    }

    /// The fact of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The conversation that the event is part of.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.get(Self::CORRELATION_ID)?.as_str()
    }

    /// The command or event that directly led to this one.
    #[must_use]
    pub fn causation_id(&self) -> Option<&str> {
        self.get(Self::CAUSATION_ID)?.as_str()
    }

    /// All facts, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether there are no facts.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the facts of `other`; where both have one, that of `other` counts.
    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl From<Map<String, Value>> for Metadata {
    fn from(facts: Map<String, Value>) -> Self {
        Self(facts)
    }
}
