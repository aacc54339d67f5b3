//! RFC 6455 without I/O and without a clock: bytes in, events and bytes out.

pub mod close;
pub mod error;

pub use close::CloseCode;
pub use error::ProtocolError;
