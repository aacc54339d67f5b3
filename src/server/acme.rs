//! The answer to a certificate authority that looks whose name this is (ACME, RFC 8555 section 8.3, `http-01`).
//!
//! It asks by plain HTTP for `/.well-known/acme-challenge/TOKEN` and is to hear `TOKEN.THUMBPRINT`, where the
//! thumbprint is that of the account's key (RFC 7638) and always the same. So whoever asks is answered, and nothing is
//! kept of a challenge: it proves that this server consents to that one account, whose key its owner has. No
//! certificate is asked for here; the programs made for that do it.

use std::fmt;
use std::str::FromStr;

use crate::proto::handshake::Request;

/// The thumbprint of the key of an account: SHA-256, in base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbprint(Box<str>);

impl Thumbprint {
    /// The answer to a request for a challenge; `None`: it asks for something else.
    pub fn answer(&self, request: &Request<'_>) -> Option<String> {
        let token = request.path().strip_prefix(CHALLENGES)?;
        let asks = matches!(request.method(), "GET" | "HEAD") && request.content_length() == Ok(0);
        let is_token = (1..=MAX_TOKEN_BYTES).contains(&token.len()) && token.bytes().all(is_base64url);
        (asks && is_token).then(|| format!("{token}.{}", self.0))
    }
}

impl FromStr for Thumbprint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.len() == BYTES && text.bytes().all(is_base64url) {
            true => Ok(Self(text.into())),
            false => Err(format!("expected {BYTES} letters, digits, - and _, as the ACME client shows it")),
        }
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
}

const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// 32 bytes in base64url, without padding.
const BYTES: usize = 43;

/// The longest token that is answered. Authorities give out 22 bytes and more.
const MAX_TOKEN_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    /// The account key and the token of RFC 8555 section 8.1 have this thumbprint.
    const ACCOUNT: &str = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";

    #[test]
    fn challenges_are_answered_and_nothing_else() {
        let thumbprint: Thumbprint = ACCOUNT.parse().unwrap();
        let longest = "t".repeat(MAX_TOKEN_BYTES);
        for (line, more, token) in [
            ("GET /.well-known/acme-challenge/evaGxfADs6pSRb2LAv9IZ", "", Some("evaGxfADs6pSRb2LAv9IZ")),
            ("HEAD /.well-known/acme-challenge/a-b_C", "", Some("a-b_C")),
            ("GET http://chat.example/.well-known/acme-challenge/a?b=c", "", Some("a")),
            (&format!("GET {CHALLENGES}{longest}"), "", Some(&*longest)),
            (&format!("GET {CHALLENGES}{longest}t"), "", None),
            ("GET /.well-known/acme-challenge/", "", None),
            ("GET /.well-known/acme-challenge", "", None),
            ("GET /.well-known/acme-challenge/a/b", "", None),
            ("GET /.well-known/acme-challenge/a.b", "", None),
            ("GET /.well-known/acme-challenge/%61", "", None),
            ("GET /.well-known/acme-challenge/<b>", "", None),
            ("POST /.well-known/acme-challenge/a", "", None),
            ("GET /.well-known/acme-challenge/a", "Content-Length: 1\r\n", None),
            ("GET /x/.well-known/acme-challenge/a", "", None),
        ] {
            let head = format!("{line} HTTP/1.1\r\nHost: chat.example\r\n{more}\r\n");
            let found = Request::parse(head.as_bytes()).ok().and_then(|request| thumbprint.answer(&request));
            assert_eq!(found, token.map(|token| format!("{token}.{ACCOUNT}")), "{line}");
        }
        for wrong in ["", &ACCOUNT[1..], &format!("{ACCOUNT}a"), &ACCOUNT.replace('9', "="), &ACCOUNT.replace('9', "+")]
        {
            assert!(wrong.parse::<Thumbprint>().is_err(), "{wrong}");
        }
    }
}
