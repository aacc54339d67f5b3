//! TLS (RFC 8446, RFC 5246) over a non-blocking transport: it turns wss:// and https:// into a stream for the engine.
//!
//! rustls does the protocol, without I/O; this module feeds it bytes and writes its records, inside the one loop. It
//! asks for no client certificates and offers neither renegotiation nor early data. It reads no files: certificate and
//! key come as bytes.

mod acceptors;
mod chain;
mod identities;
mod identity;
mod stream;

pub use acceptors::{Acceptors, Certificates};
pub use chain::{Fault, RENEW_DAYS, Validity};
pub use identities::{Identities, Overlap};
pub use identity::{Identity, IdentityError, names_of};
pub use stream::{Acceptor, Handshakes, IDLE_BYTES, MAX_HANDSHAKE_LEN, MAX_UNSENT, TlsStream, Transport};
