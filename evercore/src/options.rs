//! What can be said of an event besides what happened.

use chrono::{DateTime, Utc};

use crate::{InvalidText, Metadata, engine::Timestamp, text::Text};

/// Time, reference and metadata of an event. What is not given is taken from the unit of work, and the time
/// from the clock.
///
/// ```
/// use chrono::Utc;
/// use evercore::{EventOptions, Metadata};
///
/// let options = EventOptions::new()
///     .at(Utc::now())
///     .reference("import 2026-03")
///     .metadata(Metadata::new().with_correlation_id("request-7"));
/// # let _ = options;
/// ```
#[derive(Debug, Clone, Default)]
pub struct EventOptions {
    time: Option<Timestamp>,
    reference: Option<String>,
    metadata: Metadata,
}

impl EventOptions {
    /// Nothing said.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// When it happened, kept to the microsecond.
    #[must_use]
    pub fn at(mut self, time: DateTime<Utc>) -> Self {
        self.time = Some(time.into());
        self
    }

    /// A free text, at most 65,535 bytes without U+0000: checked when the event is applied.
    #[must_use]
    pub fn reference(mut self, reference: impl Into<String>) -> Self {
        self.reference = Some(reference.into());
        self
    }

    /// Facts about the event. Given twice, both count.
    #[must_use]
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata.merge(metadata);
        self
    }

    /// These options, with what they leave open taken from `defaults`.
    pub(crate) fn or(self, defaults: &Self) -> Self {
        let mut metadata = defaults.metadata.clone();
        metadata.merge(self.metadata);
        Self {
            time: self.time.or(defaults.time),
            reference: self.reference.or_else(|| defaults.reference.clone()),
            metadata,
        }
    }

    /// Time, reference and metadata of an event that is applied now.
    pub(crate) fn resolve(self) -> Result<(Timestamp, Option<String>, Metadata), InvalidText> {
        if let Some(reference) = &self.reference {
            Text::REFERENCE.check(reference)?;
        }
        Ok((self.time.unwrap_or_else(Timestamp::now), self.reference, self.metadata))
    }
}
