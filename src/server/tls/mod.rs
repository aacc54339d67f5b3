//! TLS (RFC 8446, RFC 5246) over a non-blocking transport: what turns wss:// and https:// into what the engine reads.
//!
//! rustls does the protocol, without I/O; here it is given bytes and its records are written, inside the one loop. No client certificates
//! are asked for, no renegotiation and no early data are offered. It reads no files: certificate and key come as bytes.

mod identity;
mod stream;

pub use identity::{Identity, IdentityError, RENEW_DAYS, Validity};
pub use stream::{Acceptor, Handshakes, IDLE_BYTES, MAX_HANDSHAKE_LEN, MAX_UNSENT, TlsStream, Transport};
