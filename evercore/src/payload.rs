//! Encoded events and states.

use std::{borrow::Cow, error::Error, fmt};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{Codec, Event, codec};

/// An encoded event or state: bytes, and how to read them. What an engine stores and hands out is bit for bit the same.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Payload {
    /// How the bytes are encoded.
    pub codec: Codec,
    /// The encoded value.
    pub bytes: Vec<u8>,
}

impl Payload {
    /// These bytes in this encoding.
    #[must_use]
    pub const fn new(codec: Codec, bytes: Vec<u8>) -> Self {
        Self { codec, bytes }
    }

    /// Encodes a value as JSON.
    ///
    /// # Errors
    ///
    /// When its `Serialize` fails, for example for a map whose keys are not text.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, EncodeError> {
        Self::encode_as(Codec::JSON, value)
    }

    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// When the codec [is not available](Codec::is_available), or the value's `Serialize` fails.
    pub fn encode_as<T: Serialize + ?Sized>(codec: Codec, value: &T) -> Result<Self, EncodeError> {
        Ok(Self::new(codec, codec.encode(value)?))
    }

    /// Encodes an event, unless it could not be read back.
    pub(crate) fn encode_event<E: Event>(event: &E) -> Result<Self, EncodeError> {
        const { codec::check(E::CODEC) };
        let payload = Self::encode_as(E::CODEC, event)?;
        if E::CODEC.may_be_unreadable(&payload.bytes) {
            payload.decode::<E>().map_err(EncodeError::value)?;
        }
        Ok(payload)
    }

    /// Decodes a value.
    ///
    /// # Errors
    ///
    /// When the codec [is not available](Codec::is_available), or the bytes are not such a value.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        self.codec.decode(&self.bytes)
    }

    /// The JSON text as it was written, if the codec is JSON: nothing is parsed, copied or checked but that it is UTF-8.
    /// For what goes on as it is, to a message bus or an answer over HTTP.
    ///
    /// ```
    /// use evercore::{Codec, Payload};
    ///
    /// let payload = Payload::new(Codec::JSON, br#"{ "amount": 1.50 }"#.to_vec());
    /// assert_eq!(payload.as_json_text(), Some(r#"{ "amount": 1.50 }"#));
    /// assert_eq!(Payload::new(Codec::MESSAGE_PACK, vec![0xc0]).as_json_text(), None);
    /// ```
    #[must_use]
    pub fn as_json_text(&self) -> Option<&str> {
        if self.codec == Codec::JSON { str::from_utf8(&self.bytes).ok() } else { None }
    }

    /// The value as JSON text, whatever the codec: borrowed [as it was written](Self::as_json_text) if it is JSON, and
    /// else what JSON would have been written. Bytes become arrays of numbers, and numbers that are not finite `null`.
    ///
    /// A [`RawValue`](https://docs.rs/serde_json/latest/serde_json/value/struct.RawValue.html) puts it into a larger
    /// text, still as it is:
    ///
    /// ```
    /// use evercore::{Codec, Payload};
    /// use serde::Serialize;
    /// use serde_json::value::RawValue;
    ///
    /// #[derive(Serialize)]
    /// struct Message<'a> {
    ///     event: &'a str,
    ///     #[serde(borrow)]
    ///     data: &'a RawValue,
    /// }
    ///
    /// fn message(event: &str, payload: &Payload) -> Result<String, Box<dyn std::error::Error>> {
    ///     let json = payload.to_json()?;
    ///     Ok(serde_json::to_string(&Message { event, data: serde_json::from_str(&json)? })?)
    /// }
    ///
    /// let payload = Payload::new(Codec::JSON, br#"{ "amount": 1.50 }"#.to_vec());
    /// assert_eq!(message("Paid", &payload)?, r#"{"event":"Paid","data":{ "amount": 1.50 }}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the codec [is not available](Codec::is_available), the bytes are not of this codec, or the value has no form
    /// in JSON, such as a map whose keys are lists. JSON itself is not checked but for UTF-8.
    pub fn to_json(&self) -> Result<Cow<'_, str>, DecodeError> {
        self.codec.to_json_text(&self.bytes)
    }

    /// The value as JSON, parsed.
    pub(crate) fn to_json_value(&self) -> Result<Value, DecodeError> {
        self.codec.to_json_value(&self.bytes)
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_json_text() {
            Some(text) => f.debug_tuple("Payload").field(&format_args!("{text}")).finish(),
            None => {
                f.debug_struct("Payload").field("codec", &self.codec).field("bytes", &self.bytes).finish()
            }
        }
    }
}

/// Why an older form of an event could not be upcast, as the function in `upcasts(…)` says.
pub type UpcastError = Box<dyn Error + Send + Sync>;

/// Why a value could not be encoded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// No codec of this number is known.
    #[error("codec {0} is not known to this version of the library")]
    UnknownCodec(i16),
    /// The codec is known, and this feature of the library, which it needs, is not turned on.
    #[error("{0} needs the feature {feature:?} of evercore: add it in Cargo.toml", feature = .0.feature())]
    MissingFeature(Codec),
    /// Its `Serialize` failed, or what came of it cannot be read back.
    #[error("the value cannot be written, or not be read back")]
    Value(#[source] Box<dyn Error + Send + Sync>),
}

impl EncodeError {
    pub(crate) fn value(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Value(source.into())
    }
}

impl From<serde_json::Error> for EncodeError {
    fn from(source: serde_json::Error) -> Self {
        Self::value(source)
    }
}

/// Why a payload could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It was written by a version of the library that knows more codecs.
    #[error("codec {0} is not known to this version of the library")]
    UnknownCodec(i16),
    /// It is written in a codec for which this feature of the library is not turned on.
    #[error("it is {0}, which needs the feature {feature:?} of evercore: add it in Cargo.toml", feature = .0.feature())]
    MissingFeature(Codec),
    /// It is not what its codec says, or not a value of this type.
    #[error("the payload does not have the expected shape")]
    Shape(#[source] Box<dyn Error + Send + Sync>),
    /// It is of an older form, and the function in `upcasts(…)` refused it.
    #[error("it is of an older form, which cannot be upcast")]
    Upcast(#[source] UpcastError),
}

impl DecodeError {
    pub(crate) fn shape(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Shape(source.into())
    }
}
