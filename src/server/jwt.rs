//! Signed tokens (RFC 7519): checking one, and making one for development.
//!
//! Each key has one algorithm, chosen by the operator. A token's own `alg` only says which keys it may be tried with,
//! so that neither `none` nor a public key taken for a secret gets anybody in. `kid`, `jwk`, `jku` and `x5u` are
//! ignored, and nothing is ever fetched. [`crate::chat::auth`] knows what claims mean.

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::de::IgnoredAny;

use crate::chat::auth::{Claims, KeyId, MAX_TOKEN_BYTES};
use crate::chat::{Grant, TokenError, Verifier};
use crate::proto::handshake::MAX_LINE_LEN;

/// The algorithm of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256: one secret that signs and verifies.
    Hs256,
    /// RSA (PKCS#1 v1.5) with SHA-256: a public key of 2048 to 4096 bits.
    Rs256,
    /// Ed25519: a public key.
    EdDsa,
}

impl Algorithm {
    const fn wire(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Hs256 => jsonwebtoken::Algorithm::HS256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hs256 => "HS256",
            Self::Rs256 => "RS256",
            Self::EdDsa => "EdDSA",
        })
    }
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = [Self::Hs256, Self::Rs256, Self::EdDsa];
        let found = known.into_iter().find(|known| known.to_string() == text);
        found.ok_or_else(|| "expected HS256, RS256 or EdDSA".into())
    }
}

/// Why a file or variable holds no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// A secret of fewer than [`MIN_SECRET_BYTES`] bytes.
    ShortSecret {
        /// How many there are.
        bytes: usize,
    },
    /// A byte order mark that an editor or a shell has put before the text, and that the signer does not have.
    ByteOrderMark,
    /// A PEM file where a secret was expected: if a public key were a secret, everybody could sign.
    PemAsSecret,
    /// No public key of that algorithm in PEM.
    NoPublicKey(Algorithm),
    /// An RSA key of a size that is not in [`RSA_BITS`].
    RsaSize,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSecret { bytes } => {
                write!(f, "expected a secret of at least {MIN_SECRET_BYTES} bytes, found {bytes}")
            }
            Self::ByteOrderMark => write!(
                f,
                "expected the bytes of the key alone, found a byte order mark before them; save the file as UTF-8 without one"
            ),
            Self::PemAsSecret => write!(f, "expected a secret for HS256, found a PEM file; is it RS256 or EdDSA?"),
            Self::NoPublicKey(algorithm) => {
                write!(
                    f,
                    "expected a public key for {algorithm} in PEM (-----BEGIN PUBLIC KEY-----), found something else"
                )
            }
            Self::RsaSize => {
                let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
                write!(f, "expected an RSA key of {least} to {most} bits, found another size")
            }
        }
    }
}

impl std::error::Error for KeyError {}

/// One key, with its algorithm.
#[derive(Clone)]
pub struct Key {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl Key {
    /// Reads a secret (white space at its end does not count) or a public key in PEM.
    ///
    /// # Errors
    /// When it is none, or one that is too weak.
    pub fn read(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, KeyError> {
        no_byte_order_mark(bytes)?;
        let public = |read: fn(&[u8]) -> jsonwebtoken::errors::Result<DecodingKey>| {
            let key = is_public_key(bytes).then(|| read(bytes).ok()).flatten();
            key.ok_or(KeyError::NoPublicKey(algorithm))
        };
        let key = match algorithm {
            Algorithm::Hs256 => DecodingKey::from_secret(secret(bytes)?),
            Algorithm::Rs256 => {
                let key = public(DecodingKey::from_rsa_pem)?;
                match modulus_bits(key.as_bytes()) {
                    Some(bits) if RSA_BITS.contains(&bits) => key,
                    _ => return Err(KeyError::RsaSize),
                }
            }
            Algorithm::EdDsa => public(DecodingKey::from_ed_pem)?,
        };
        Ok(Self { algorithm, key })
    }

    /// Which one it is, among keys that an operator has chosen: it tells them apart, and keeps nothing secret.
    pub fn id(&self) -> KeyId {
        let mut hasher = DefaultHasher::new();
        (self.algorithm as u8, self.key.as_bytes()).hash(&mut hasher);
        KeyId(hasher.finish())
    }
}

/// A secret of random bytes may begin with any; but bytes that begin like UTF-8 or UTF-16 with a mark, and go on like
/// it, are text that has been saved so.
fn no_byte_order_mark(bytes: &[u8]) -> Result<(), KeyError> {
    let every_other_is_zero = |from: usize| bytes.iter().skip(from).step_by(2).take(16).all(|&byte| byte == 0);
    let marked = match bytes {
        [0xef, 0xbb, 0xbf, ..] => true,
        [0xff, 0xfe, _, _, ..] => every_other_is_zero(3),
        [0xfe, 0xff, _, _, ..] => every_other_is_zero(2),
        _ => false,
    };
    if marked { Err(KeyError::ByteOrderMark) } else { Ok(()) }
}

fn secret(bytes: &[u8]) -> Result<&[u8], KeyError> {
    no_byte_order_mark(bytes)?;
    let secret = bytes.trim_ascii_end();
    match secret.len() {
        _ if secret.trim_ascii_start().starts_with(b"-----BEGIN") => Err(KeyError::PemAsSecret),
        bytes if bytes < MIN_SECRET_BYTES => Err(KeyError::ShortSecret { bytes }),
        _ => Ok(secret),
    }
}

/// Whether the PEM label says public key, so that a private key or a certificate is not taken for it.
fn is_public_key(pem: &[u8]) -> bool {
    let pem = pem.trim_ascii_start();
    pem.starts_with(b"-----BEGIN PUBLIC KEY-----") || pem.starts_with(b"-----BEGIN RSA PUBLIC KEY-----")
}

/// The size of an RSA public key as PKCS#1 has it; `None` if its modulus is under 256 bytes or it is none.
fn modulus_bits(der: &[u8]) -> Option<usize> {
    let [0x30, 0x82, _, _, 0x02, 0x82, high, low, rest @ ..] = der else { return None };
    let modulus = rest.get(..usize::from(u16::from_be_bytes([*high, *low])))?;
    let first = modulus.iter().position(|&byte| byte != 0)?;
    Some((modulus.len() - first) * 8 - modulus[first].leading_zeros() as usize)
}

/// The keys that tokens may be signed with: one, or two while one follows the other.
#[derive(Clone)]
pub struct Keys {
    keys: Vec<Key>,
    audience: Option<String>,
}

impl Keys {
    /// With an audience, tokens must name it in `aud`; without one, tokens that name any are refused (RFC 7519 section
    /// 4.1.3).
    pub fn new(keys: Vec<Key>, audience: Option<String>) -> Self {
        Self { keys, audience }
    }

    fn claims(&self, key: &Key, token: &str) -> Result<Claims, TokenError> {
        let mut validation = Validation::new(key.algorithm.wire());
        // Times are judged with the claims, by our own clock; no claim is taken for absent that cannot be read. The
        // claims themselves have no lack of `exp`, of which the library knows no number above 2^64.
        (validation.validate_exp, validation.validate_nbf) = (false, false);
        validation.set_required_spec_claims(&["sub"]);
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            validation.set_required_spec_claims(&["sub", "aud"]);
        }
        let decoded = decode::<Claims>(token, &key.key, &validation).map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => TokenError::Signature,
            ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
            ErrorKind::InvalidAudience => TokenError::Audience,
            ErrorKind::MissingRequiredClaim(claim) if claim == "aud" => TokenError::Audience,
            ErrorKind::MissingRequiredClaim(_) | ErrorKind::Json(_) => TokenError::Claims,
            _ => TokenError::Malformed,
        });
        decoded.map(|data| data.claims)
    }
}

/// Whether the header of a token has `crit`, whatever it is: the library takes a null for none, and RFC 7515 section
/// 4.1.11 knows a list that is not empty, and nothing else.
fn names_crit(token: &str) -> bool {
    let header = token.split('.').next().and_then(|header| URL_SAFE_NO_PAD.decode(header).ok());
    let fields = header.and_then(|header| serde_json::from_slice::<BTreeMap<String, IgnoredAny>>(&header).ok());
    fields.is_some_and(|fields| fields.contains_key("crit"))
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({self})")
    }
}

/// The algorithms, for people.
impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms: Vec<String> = self.keys.iter().map(|key| key.algorithm.to_string()).collect();
        f.write_str(&algorithms.join(", "))
    }
}

impl Verifier for Keys {
    fn verify(&self, token: &str, unix_ms: u64) -> Result<Grant, TokenError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenError::TooLong);
        }
        let header = decode_header(token).map_err(|_| TokenError::Malformed)?;
        if header.crit.is_some() || names_crit(token) {
            return Err(TokenError::Critical);
        }
        let mut found = Err(TokenError::Algorithm);
        for key in self.keys.iter().filter(|key| key.algorithm.wire() == header.alg) {
            found = self.claims(key, token).map(|claims| (claims, key.id()));
            if !matches!(found, Err(TokenError::Signature)) {
                break;
            }
        }
        let (claims, key) = found?;
        claims.grant(key, unix_ms)
    }

    fn accepts(&self, key: KeyId) -> bool {
        self.keys.iter().any(|known| known.id() == key)
    }
}

/// The content of a token that is made here.
#[derive(Debug, serde::Serialize)]
pub struct NewToken<'a> {
    /// The user.
    pub sub: &'a str,
    /// When it is made, in seconds since the Unix epoch.
    pub iat: u64,
    /// When it ends, likewise.
    pub exp: u64,
    /// The rooms; `None`: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rooms: Option<&'a [String]>,
    /// The roles.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub roles: &'a [String],
    /// The audience.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aud: Option<&'a str>,
}

/// Makes a token, signed with HS256.
///
/// # Errors
/// When the secret is none.
pub fn mint(secret_bytes: &[u8], claims: &NewToken<'_>) -> Result<String, KeyError> {
    let key = EncodingKey::from_secret(secret(secret_bytes)?);
    Ok(encode(&Header::new(jsonwebtoken::Algorithm::HS256), claims, &key).expect("these claims are JSON"))
}

/// A token that is not too long fits into a line of a request, whatever stands around it: in a header, among
/// sub-protocols, or in the query of an absolute target with a host of 253 bytes, a room and a name of 128 and a note
/// of 256, all percent-encoded.
const _: () = assert!(MAX_TOKEN_BYTES + 2048 <= MAX_LINE_LEN);

/// RFC 7518 section 3.2: a key of the same size as the hash output or larger.
pub const MIN_SECRET_BYTES: usize = 32;

/// RFC 7518 section 3.3 asks for 2048 bits or more; the library takes at most 4096.
pub const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &[u8] = b"an old secret of more than 32 bytes";
    const NEW: &[u8] = b"a new secret of more than 32 bytes\n";
    const RSA: &[u8] = include_bytes!("../../tests/keys/rsa2048.pub.pem");
    const RSA_PKCS1: &[u8] = include_bytes!("../../tests/keys/rsa2048.pkcs1.pub.pem");
    const RSA_SHORT: &[u8] = include_bytes!("../../tests/keys/rsa1024.pub.pem");
    const ED: &[u8] = include_bytes!("../../tests/keys/ed25519.pub.pem");
    // Signed with OpenSSL, for `ann`, until 2100; the private keys are gone.
    const RS256: &str = include_str!("../../tests/keys/rs256.jwt");
    const EDDSA: &str = include_str!("../../tests/keys/eddsa.jwt");

    const NOW: u64 = 1_800_000_000_000;
    const CLAIMS: &str = r#"{"sub":"ann","exp":1800000060}"#;
    const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    fn keys(keys: &[(Algorithm, &[u8])]) -> Keys {
        let keys = keys.iter().map(|(algorithm, bytes)| Key::read(*algorithm, bytes).unwrap());
        Keys::new(keys.collect(), None)
    }

    /// A token with any header and claims, signed with HS256 whatever they say.
    fn forge(header: &str, claims: &str, secret: &[u8]) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let key = EncodingKey::from_secret(secret);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    fn user(keys: &Keys, token: &str) -> Result<String, TokenError> {
        keys.verify(token, NOW).map(|grant| grant.user.to_string())
    }

    #[test]
    fn good_tokens() {
        let ann = Ok("ann".to_owned());
        for (algorithm, key, token) in [
            (Algorithm::Hs256, OLD, forge(HEADER, CLAIMS, OLD)),
            (Algorithm::Hs256, NEW, forge(HEADER, CLAIMS, NEW.trim_ascii_end())),
            (Algorithm::Rs256, RSA, RS256.trim().into()),
            (Algorithm::Rs256, RSA_PKCS1, RS256.trim().into()),
            (Algorithm::EdDsa, ED, EDDSA.trim().into()),
        ] {
            assert_eq!(user(&keys(&[(algorithm, key)]), &token), ann, "{algorithm}");
        }
        // A time that is too late to be told is the last that can be.
        for exp in ["1e18", "1e19", "1e308"] {
            let token = forge(HEADER, &format!(r#"{{"sub":"ann","exp":{exp}}}"#), OLD);
            assert_eq!(user(&keys(&[(Algorithm::Hs256, OLD)]), &token), ann, "{exp}");
        }
        let grant = keys(&[(Algorithm::EdDsa, ED)]).verify(EDDSA.trim(), NOW).unwrap();
        assert!(grant.may_enter("team-red") && !grant.may_enter("attic") && grant.may_announce());
        assert_eq!(grant.expires_ms, 4_102_444_800_000);
    }

    #[test]
    fn two_keys_while_one_follows_the_other() {
        let both = keys(&[(Algorithm::Hs256, OLD), (Algorithm::Hs256, NEW)]);
        let old = forge(HEADER, CLAIMS, OLD);
        let new = forge(HEADER, CLAIMS, NEW.trim_ascii_end());
        assert_eq!((user(&both, &old), user(&both, &new)), (Ok("ann".into()), Ok("ann".into())));
        assert_eq!(user(&keys(&[(Algorithm::Hs256, NEW)]), &old), Err(TokenError::Signature));
        assert_eq!(user(&both, &forge(HEADER, r#"{"sub":"ann"}"#, OLD)), Err(TokenError::Claims));
        let other = keys(&[(Algorithm::Rs256, RSA), (Algorithm::EdDsa, ED)]);
        assert_eq!((user(&other, RS256.trim()), user(&other, EDDSA.trim())), (Ok("ann".into()), Ok("ann".into())));
        assert_eq!(user(&other, &old), Err(TokenError::Algorithm));
    }

    #[test]
    fn what_is_no_token() {
        let keys = keys(&[(Algorithm::Hs256, OLD)]);
        let good = forge(HEADER, CLAIMS, OLD);
        let (head, tail) = good.split_once('.').unwrap();
        for (token, expected) in [
            (String::new(), TokenError::Malformed),
            ("..".into(), TokenError::Malformed),
            (head.into(), TokenError::Malformed),
            (format!("{good}.x"), TokenError::Malformed),
            (format!(" {good}"), TokenError::Malformed),
            (good.trim_end_matches(|c| c != '.').into(), TokenError::Signature),
            (format!("{good}A"), TokenError::Signature),
            (format!("{head}.{}", tail.replace('.', "A.")), TokenError::Signature),
            (forge(HEADER, "{", OLD), TokenError::Claims),
            (forge(HEADER, r#"{"sub":"ann","exp":"1800000060"}"#, OLD), TokenError::Claims),
            (forge(HEADER, r#"{"sub":"ann","exp":-5}"#, OLD), TokenError::Claims),
            (forge(HEADER, r#"{"sub":"ann"}"#, OLD), TokenError::Claims),
            (forge(HEADER, r#"{"exp":1800000060}"#, OLD), TokenError::Claims),
            (forge(HEADER, r#"{"sub":"","exp":1800000060}"#, OLD), TokenError::Subject),
            (forge(HEADER, r#"{"sub":"ann","exp":1799999990}"#, OLD), TokenError::Expired),
            (forge(HEADER, r#"{"sub":"ann","exp":1800000060,"nbf":1800000011}"#, OLD), TokenError::NotYet),
            (forge(HEADER, r#"{"sub":"ann","exp":1800000060,"aud":"other"}"#, OLD), TokenError::Audience),
            (forge(HEADER, &format!("{CLAIMS}{}", " ".repeat(MAX_TOKEN_BYTES)), OLD), TokenError::TooLong),
            ("x".repeat(MAX_TOKEN_BYTES), TokenError::Malformed),
            ("x".repeat(MAX_TOKEN_BYTES + 1), TokenError::TooLong),
        ] {
            assert_eq!(user(&keys, &token), Err(expected), "{token}");
        }
    }

    #[test]
    fn the_token_does_not_choose_the_algorithm() {
        let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(CLAIMS));
        let hs256 = keys(&[(Algorithm::Hs256, OLD)]);
        let public = keys(&[(Algorithm::Rs256, RSA), (Algorithm::EdDsa, ED)]);
        for keys in [&hs256, &public] {
            assert_eq!(user(keys, &none), Err(TokenError::Malformed));
            for alg in ["none", "None", "HS1"] {
                let token = forge(&format!(r#"{{"alg":"{alg}"}}"#), CLAIMS, OLD);
                assert_eq!(user(keys, &token), Err(TokenError::Malformed), "{alg}");
            }
            for alg in ["HS384", "PS256", "ES256", "RS512"] {
                let token = forge(&format!(r#"{{"alg":"{alg}"}}"#), CLAIMS, OLD);
                assert_eq!(user(keys, &token), Err(TokenError::Algorithm), "{alg}");
            }
        }
        // Everybody has the public key; here it signs as if it were a secret, as the text of the file and as the bytes
        // in it.
        for key in [RSA, RSA.trim_ascii_end(), ED] {
            assert_eq!(user(&public, &forge(HEADER, CLAIMS, key)), Err(TokenError::Algorithm));
            for alg in ["RS256", "EdDSA"] {
                let token = forge(&format!(r#"{{"alg":"{alg}"}}"#), CLAIMS, key);
                assert_eq!(user(&public, &token), Err(TokenError::Signature), "{alg}");
            }
        }
        assert_eq!(user(&hs256, RS256.trim()), Err(TokenError::Algorithm));
    }

    /// Keys that a token brings along, or whose address it gives.
    #[test]
    fn headers_that_name_keys_are_not_looked_at() {
        let keys = keys(&[(Algorithm::Hs256, OLD)]);
        let oct = r#""jwk":{"kty":"oct","k":"YXR0YWNrZXI"}"#;
        for more in [
            r#""kid":"../../dev/null""#,
            r#""kid":"' OR 1=1 --""#,
            r#""jku":"http://127.0.0.1:1/keys""#,
            r#""x5u":"http://127.0.0.1:1/cert""#,
            oct,
        ] {
            let header = format!(r#"{{"alg":"HS256",{more}}}"#);
            assert_eq!(user(&keys, &forge(&header, CLAIMS, OLD)), Ok("ann".into()), "{more}");
            for secret in ["attacker", ""] {
                let token = forge(&header, CLAIMS, secret.as_bytes());
                assert_eq!(user(&keys, &token), Err(TokenError::Signature), "{more}");
            }
        }
        // Whatever it is: a list, or what it may not be.
        for (header, expected) in [
            (r#"{"alg":"HS256","crit":["exp"]}"#, TokenError::Critical),
            (r#"{"alg":"HS256","crit":[]}"#, TokenError::Critical),
            (r#"{"alg":"HS256","crit":null}"#, TokenError::Critical),
            (r#"{"crit" : null, "alg":"HS256"}"#, TokenError::Critical),
            (r#"{"alg":"HS256","\u0063rit":null}"#, TokenError::Critical),
            (r#"{"alg":"HS256","crit":"exp"}"#, TokenError::Malformed),
            (r#"{"alg":"HS256","crit":{}}"#, TokenError::Malformed),
        ] {
            assert_eq!(user(&keys, &forge(header, CLAIMS, OLD)), Err(expected), "{header}");
        }
    }

    #[test]
    fn audiences() {
        let keys = Keys { audience: Some("salon".into()), ..keys(&[(Algorithm::Hs256, OLD)]) };
        for (aud, expected) in [
            (r#","aud":"salon""#, Ok("ann".to_owned())),
            (r#","aud":["other","salon"]"#, Ok("ann".to_owned())),
            (r#","aud":"other""#, Err(TokenError::Audience)),
            (r#","aud":5"#, Err(TokenError::Claims)),
            (r#","aud":null"#, Err(TokenError::Claims)),
            ("", Err(TokenError::Audience)),
        ] {
            let token = forge(HEADER, &format!(r#"{{"sub":"ann","exp":1800000060{aud}}}"#), OLD);
            assert_eq!(user(&keys, &token), expected, "{aud}");
        }
    }

    #[test]
    fn what_is_no_key() {
        for (algorithm, bytes, expected) in [
            (Algorithm::Hs256, b"short".as_slice(), KeyError::ShortSecret { bytes: 5 }),
            (Algorithm::Hs256, &[b' '; 40], KeyError::ShortSecret { bytes: 0 }),
            (Algorithm::Hs256, RSA, KeyError::PemAsSecret),
            (Algorithm::Rs256, OLD, KeyError::NoPublicKey(Algorithm::Rs256)),
            (Algorithm::Rs256, ED, KeyError::NoPublicKey(Algorithm::Rs256)),
            (Algorithm::Rs256, RSA_SHORT, KeyError::RsaSize),
            (Algorithm::EdDsa, RSA, KeyError::NoPublicKey(Algorithm::EdDsa)),
            (Algorithm::EdDsa, b"-----BEGIN PUBLIC KEY-----\n", KeyError::NoPublicKey(Algorithm::EdDsa)),
            (Algorithm::EdDsa, b"-----BEGIN PRIVATE KEY-----\n", KeyError::NoPublicKey(Algorithm::EdDsa)),
        ] {
            assert_eq!(Key::read(algorithm, bytes).err(), Some(expected));
        }
    }

    #[test]
    fn a_token_made_here_holds_here() {
        let rooms = ["den".to_owned()];
        let claims = NewToken {
            sub: "ann",
            iat: 1_800_000_000,
            exp: 1_800_000_060,
            rooms: Some(&rooms),
            roles: &["admin".into()],
            aud: None,
        };
        let grant = keys(&[(Algorithm::Hs256, NEW)]).verify(&mint(NEW, &claims).unwrap(), NOW).unwrap();
        assert!(grant.may_enter("den") && !grant.may_enter("attic") && grant.may_announce() && grant.may_create());
        assert_eq!(mint(b"short", &claims).err(), Some(KeyError::ShortSecret { bytes: 5 }));
    }

    /// PowerShell and some editors put a mark before the text; tokens signed with the text alone would be refused for
    /// ever.
    #[test]
    fn a_byte_order_mark_is_no_part_of_a_key() {
        let text = "0123456789abcdef0123456789abcdef";
        let wide = |mark: [u8; 2], low: bool| {
            let both = text.bytes().flat_map(|byte| if low { [byte, 0] } else { [0, byte] });
            mark.into_iter().chain(both).collect::<Vec<u8>>()
        };
        let error = |algorithm, bytes: &[u8]| Key::read(algorithm, bytes).err();
        let marked = [b"\xef\xbb\xbf", text.as_bytes()].concat();
        assert_eq!(error(Algorithm::Hs256, &marked), Some(KeyError::ByteOrderMark));
        assert_eq!(error(Algorithm::Hs256, &wide([0xff, 0xfe], true)), Some(KeyError::ByteOrderMark));
        assert_eq!(error(Algorithm::Hs256, &wide([0xfe, 0xff], false)), Some(KeyError::ByteOrderMark));
        assert_eq!(error(Algorithm::Rs256, &[b"\xef\xbb\xbf", RSA].concat()), Some(KeyError::ByteOrderMark));
        // Random bytes that begin so by chance are a secret.
        assert_eq!(error(Algorithm::Hs256, &[&[0xff, 0xfe][..], &[7; 40]].concat()), None);
        assert_eq!(error(Algorithm::Hs256, text.as_bytes()), None);
        assert_eq!(
            mint(&marked, &NewToken { sub: "a", iat: 0, exp: 1, rooms: None, roles: &[], aud: None }).err(),
            Some(KeyError::ByteOrderMark)
        );
    }

    #[test]
    fn nothing_secret_is_shown() {
        let keys = keys(&[(Algorithm::Hs256, OLD), (Algorithm::EdDsa, ED)]);
        assert_eq!(format!("{keys:?}"), "Keys(HS256, EdDSA)");
    }

    /// A key that is read again is the same one; another one, or the same bytes for another algorithm, is not.
    #[test]
    fn a_grant_knows_its_key() {
        let key = |bytes| Key::read(Algorithm::Hs256, bytes).unwrap();
        let claims = NewToken { sub: "ann", iat: 1, exp: 2_000_000_000, rooms: None, roles: &[], aud: None };
        let both = Keys::new(vec![key(OLD), key(NEW)], None);
        let grant = both.verify(&mint(OLD, &claims).unwrap(), 1).unwrap();
        for (keys, accepted) in [
            (vec![key(OLD), key(NEW)], true),
            (vec![key(NEW), key(OLD)], true),
            (vec![key(NEW)], false),
            (vec![Key::read(Algorithm::Rs256, RSA).unwrap()], false),
        ] {
            assert_eq!(Keys::new(keys, None).accepts(grant.key), accepted);
        }
        assert!(!format!("{:?}", grant.key).contains(&grant.key.0.to_string()));
    }
}
