//! Bytes to messages and back: the layer under `Peer`. Nothing here knows a torrent.

pub mod allowed_fast;
pub mod decoder;
pub mod encoder;
pub mod extension;
pub mod handshake;
pub mod message;
pub mod metadata;
pub mod pex;

pub use allowed_fast::allowed_fast;
pub use decoder::{Decoded, Decoder, Limits, WireError};
pub use encoder::{encode, encode_head};
pub use extension::{ExtendedHandshake, ExtensionError};
pub use handshake::{HANDSHAKE_LENGTH, Handshake, InfoHash, PeerId};
pub use message::{Message, RawBlock};
pub use metadata::{METADATA_PIECE, MetadataMessage};
pub use pex::{Contact, PexMessage};

#[cfg(test)]
mod tests;
