//! MessagePack, as it is used here: structs are maps with the names of their fields, and types take the form
//! for people.
//!
//! Names, because events outlive their types: a field may be added, removed and renamed as in JSON. The form for
//! people, because serde forgets which one it was within flattened and tagged types, and could not read them back.

use std::{error::Error, io::ErrorKind};

use rmp_serde::{Deserializer, Serializer, decode, encode};
use serde::{
    Serialize,
    de::{DeserializeOwned, IgnoredAny},
};

pub(super) fn encode<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, encode::Error> {
    let mut serializer = Serializer::new(Vec::new()).with_struct_map().with_human_readable();
    value.serialize(&mut serializer)?;
    Ok(serializer.into_inner())
}

pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Box<dyn Error + Send + Sync>> {
    let mut deserializer = Deserializer::from_read_ref(bytes).with_human_readable();
    let value = T::deserialize(&mut deserializer)?;
    // The reader does not say how far it has come; but where there is nothing more, there is no next value.
    match serde::Deserialize::deserialize(&mut deserializer) {
        Err(decode::Error::InvalidMarkerRead(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(value),
        Ok(IgnoredAny) | Err(_) => Err("there are bytes after the end of the value".into()),
    }
}
