//! The query of a request (RFC 3986 section 3.4): fields as forms write them, not decoded.

use crate::proto::handshake::Request;

/// The fields of the query, as they came.
pub fn pairs<'a>(request: &Request<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    request.query().split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// The first field of that name.
pub fn field<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    pairs(request).find(|&(key, _)| key == name).map(|(_, value)| value)
}
