//! What an opening handshake has settled (RFC 6455 section 4), as a value that only a handshake makes.
//!
//! A connection is made with it, so that what was said in the heads and what is done to frames cannot differ.

use crate::extension::PermessageDeflate;

/// What client and server have agreed to.
///
/// A server gets it from `handshake::Upgrade::encode`, a client from `client_handshake::Response::accept`:
///
/// ```compile_fail,E0451
/// // Nobody else can make one that names an extension.
/// let agreed = salon_proto::Agreed { deflate: None, ..salon_proto::Agreed::NOTHING };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the connection behind the handshake is made with it"]
pub struct Agreed<'a> {
    protocol: Option<&'a str>,
    deflate: Option<PermessageDeflate>,
}

impl Agreed<'static> {
    /// No sub-protocol and no extension: for a handshake that was done elsewhere and named none.
    pub const NOTHING: Self = Self { protocol: None, deflate: None };
}

impl<'a> Agreed<'a> {
    #[cfg(feature = "handshake")]
    pub(crate) const fn new(protocol: Option<&'a str>, deflate: Option<PermessageDeflate>) -> Self {
        Self { protocol, deflate }
    }

    /// The sub-protocol, one of those that the client offered; `None` if the server chose none.
    pub const fn protocol(&self) -> Option<&'a str> {
        self.protocol
    }

    /// How messages may be compressed; `None` if they may not be.
    pub const fn deflate(&self) -> Option<&PermessageDeflate> {
        self.deflate.as_ref()
    }

    /// The same without the name of the sub-protocol, which is borrowed from a head.
    pub const fn extensions(&self) -> Agreed<'static> {
        Agreed { protocol: None, deflate: self.deflate }
    }
}
