//! Encoded events and states.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use crate::Event;

/// How a [`Payload`] is encoded. Stores keep the number beside the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Codec(i16);

impl Codec {
    /// JSON text, UTF-8.
    pub const JSON: Self = Self(1);

    /// The codec with this number, which need not be one that this version knows.
    #[must_use]
    pub const fn new(number: i16) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> i16 {
        self.0
    }
}

/// An encoded event or state: bytes, and how to read them.
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

    /// Encodes a value.
    ///
    /// # Errors
    ///
    /// When its `Serialize` fails, for example for a map whose keys are not text.
    pub fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        Ok(Self::new(Codec::JSON, serde_json::to_vec(value)?))
    }

    /// Encodes an event, unless it could not be read back. JSON has no form for numbers that are not finite:
    /// they are written as `null`, which is no number.
    pub(crate) fn encode_event<E: Event>(event: &E) -> Result<Self, serde_json::Error> {
        let payload = Self::encode(event)?;
        if payload.bytes.windows(4).any(|bytes| bytes == b"null") {
            serde_json::from_slice::<E>(&payload.bytes)?;
        }
        Ok(payload)
    }

    /// Decodes a value.
    ///
    /// # Errors
    ///
    /// When the codec is not known to this version, or the bytes are not such a value.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        match self.codec {
            Codec::JSON => Ok(serde_json::from_slice(&self.bytes)?),
            Codec(number) => Err(DecodeError::UnknownCodec(number)),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.codec, str::from_utf8(&self.bytes)) {
            (Codec::JSON, Ok(text)) => f.debug_tuple("Payload").field(&format_args!("{text}")).finish(),
            _ => f.debug_struct("Payload").field("codec", &self.codec).field("bytes", &self.bytes).finish(),
        }
    }
}

/// Why an older form of an event could not be upcast, as the function in `upcasts(…)` says.
pub type UpcastError = Box<dyn std::error::Error + Send + Sync>;

/// Why a payload could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// It was written by a version of the library that knows more codecs.
    #[error("codec {0} is not known to this version of the library")]
    UnknownCodec(i16),
    /// It is not JSON, or not JSON of this type.
    #[error("the payload does not have the expected shape")]
    Shape(#[from] serde_json::Error),
    /// It is of an older form, and the function in `upcasts(…)` refused it.
    #[error("it is of an older form, which cannot be upcast")]
    Upcast(#[source] UpcastError),
}
