//! How events and states are encoded.

#[cfg(feature = "msgpack")]
mod as_json;
#[cfg(feature = "msgpack")]
mod message_pack;

use std::{borrow::Cow, fmt};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{DecodeError, EncodeError};

/// How a [`Payload`](crate::Payload) is encoded. Stores keep the number beside the bytes, so all codecs live in one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Codec(i16);

impl Codec {
    /// JSON text, UTF-8.
    pub const JSON: Self = Self(1);

    /// [MessagePack](https://msgpack.org), with the names of the fields. To write and read it, the feature
    /// `msgpack` is needed.
    ///
    /// Types that have a form for people and one for machines, such as IP addresses, are written in the one for
    /// people, as in JSON.
    pub const MESSAGE_PACK: Self = Self(2);

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

    /// Whether it can be written and read: this version knows it, and the feature that it needs is turned on.
    #[must_use]
    pub const fn is_available(self) -> bool {
        matches!(self, Self::JSON) || cfg!(feature = "msgpack") && matches!(self, Self::MESSAGE_PACK)
    }

    /// The feature of the library that it needs, if it needs one.
    pub(crate) const fn feature(self) -> &'static str {
        match self {
            Self::MESSAGE_PACK => "msgpack",
            _ => "",
        }
    }

    pub(crate) fn encode<T: Serialize + ?Sized>(self, value: &T) -> Result<Vec<u8>, EncodeError> {
        match self {
            Self::JSON => Ok(serde_json::to_vec(value)?),
            #[cfg(feature = "msgpack")]
            Self::MESSAGE_PACK => message_pack::encode(value).map_err(EncodeError::value),
            #[cfg(not(feature = "msgpack"))]
            Self::MESSAGE_PACK => Err(EncodeError::MissingFeature(self)),
            Self(number) => Err(EncodeError::UnknownCodec(number)),
        }
    }

    pub(crate) fn decode<T: DeserializeOwned>(self, bytes: &[u8]) -> Result<T, DecodeError> {
        match self {
            Self::JSON => serde_json::from_slice(bytes).map_err(DecodeError::shape),
            #[cfg(feature = "msgpack")]
            Self::MESSAGE_PACK => message_pack::decode(bytes).map_err(DecodeError::shape),
            #[cfg(not(feature = "msgpack"))]
            Self::MESSAGE_PACK => Err(DecodeError::MissingFeature(self)),
            Self(number) => Err(DecodeError::UnknownCodec(number)),
        }
    }

    /// What the value is in JSON.
    pub(crate) fn to_json_value(self, bytes: &[u8]) -> Result<Value, DecodeError> {
        match self {
            #[cfg(feature = "msgpack")]
            Self::MESSAGE_PACK => self.decode::<as_json::AsJson>(bytes).map(as_json::AsJson::into_value),
            _ => self.decode(bytes),
        }
    }

    /// What the value is in JSON, as text.
    pub(crate) fn to_json_text(self, bytes: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
        match self {
            Self::JSON => str::from_utf8(bytes).map(Cow::Borrowed).map_err(DecodeError::shape),
            _ => self.to_json_value(bytes).map(|value| Cow::Owned(value.to_string())),
        }
    }

    /// Whether there is reason to ask if the bytes, which this codec wrote, can be read back.
    pub(crate) fn may_be_unreadable(self, bytes: &[u8]) -> bool {
        // JSON has no form for numbers that are not finite: they are written as `null`, which is no number.
        // The types that serde_json passes through have secret names, which other formats do not understand.
        let sign: &[u8] = if self == Self::JSON { b"null" } else { b"$serde_json::private::" };
        bytes.windows(sign.len()).any(|window| window == sign)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::JSON => f.write_str("JSON"),
            Self::MESSAGE_PACK => f.write_str("MessagePack"),
            Self(number) => write!(f, "codec {number}"),
        }
    }
}

/// Refuses a codec that cannot be written, while the user's crate is compiled.
pub(crate) const fn check(codec: Codec) {
    match codec {
        Codec::MESSAGE_PACK if !codec.is_available() => {
            panic!("the codec `msgpack` needs the feature `msgpack` of evercore: add it in Cargo.toml")
        }
        _ if !codec.is_available() => panic!("this version of the library knows no codec of this number"),
        _ => {}
    }
}

#[cfg(all(test, not(feature = "msgpack")))]
mod tests {
    use super::Codec;
    use crate::Payload;

    #[test]
    fn without_the_feature_errors_name_it() {
        let needs = "MessagePack needs the feature \"msgpack\" of evercore: add it in Cargo.toml";
        assert_eq!(Payload::encode_as(Codec::MESSAGE_PACK, &1).unwrap_err().to_string(), needs);
        let stored = Payload::new(Codec::MESSAGE_PACK, vec![1]);
        assert_eq!(
            stored.decode::<u8>().unwrap_err().to_string(),
            format!("it is {needs}").replace("Pack needs", "Pack, which needs")
        );
        assert!(!Codec::MESSAGE_PACK.is_available());
    }
}
