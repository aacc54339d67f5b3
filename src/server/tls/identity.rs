//! A server's certificate with its key, and how long it is valid.
//!
//! It reads no files and asks no clock: certificate and key come as bytes, the time is an argument.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use x509_cert::der::Decode;

/// A certificate with its key, ready for handshakes.
#[derive(Clone)]
pub struct Identity {
    config: Arc<ServerConfig>,
    begins: u64,
    expires: u64,
    rsa_bits: Option<u32>,
}

impl Identity {
    /// Reads a chain (the server's own certificate first) and its private key, both in PEM.
    ///
    /// # Errors
    /// What is wrong, in a few words that repeat nothing of the key.
    pub fn read(chain: &[u8], key: &[u8]) -> Result<Self, IdentityError> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(|_| IdentityError::BadChain)?;
        let first = chain.first().ok_or(IdentityError::NoCertificate)?;
        let certificate = x509_cert::Certificate::from_der(first).map_err(|_| IdentityError::BadChain)?;
        let x509_cert::time::Validity { not_before, not_after } = certificate.tbs_certificate.validity;
        let public = &certificate.tbs_certificate.subject_public_key_info;
        // The key in DER is the modulus and some bytes more.
        let rsa_bits = (public.algorithm.oid.to_string() == RSA)
            .then(|| public.subject_public_key.raw_bytes().len() as u32 / 64 * 512);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::NoKey)?;
        let provider = rustls::crypto::ring::default_provider();
        // Checked by itself, so that an unusable key is not blamed on the certificate.
        provider.key_provider.load_private_key(key.clone_key()).map_err(|_| IdentityError::UnfitKey)?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|error| match error {
                rustls::Error::InconsistentKeys(_) => IdentityError::KeyOfAnother,
                error => IdentityError::Unfit(error),
            })?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Sessions are resumed by tickets: state that the client keeps costs no memory here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if let Some(ticketer) = ticketer() {
            config.ticketer = ticketer;
        }
        let [begins, expires] = [not_before, not_after].map(|time| time.to_unix_duration().as_secs());
        Ok(Self { config: Arc::new(config), begins, expires, rsa_bits })
    }

    /// The configuration for rustls.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// How long its key is, in bits, if it is one of RSA.
    pub fn rsa_bits(&self) -> Option<u32> {
        self.rsa_bits
    }

    /// The cost of a handshake, in [steps](crate::engine::Engine::spend): nearly all of it is a signature with this
    /// key.
    pub fn handshake_steps(&self) -> u32 {
        match self.rsa_bits {
            None => HANDSHAKE,
            Some(..=2048) => RSA_2048_HANDSHAKE,
            Some(..=3072) => RSA_3072_HANDSHAKE,
            Some(_) => RSA_4096_HANDSHAKE,
        }
    }

    /// When the certificate ends, in seconds since the Unix epoch.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The validity of the certificate at that time, in seconds since the Unix epoch.
    pub fn validity(&self, now: u64) -> Validity {
        let days = |seconds: u64| seconds / SECONDS_PER_DAY;
        match self.expires.checked_sub(now) {
            None | Some(0) => Validity::Ended { days: days(now - self.expires) },
            _ if self.begins > now => Validity::NotYet { days: days(self.begins - now) },
            Some(left) if days(left) < RENEW_DAYS => Validity::EndsSoon { days: days(left) },
            Some(left) => Validity::Good { days: days(left) },
        }
    }
}

/// The name of RSA keys (RFC 8017).
const RSA: &str = "1.2.840.113549.1.1.1";

/// The cost of a handshake, in steps of some 250 ns, by the server's key: 0.27, 0.9 and 4.6 ms were measured.
const HANDSHAKE: u32 = 1_000;
const RSA_2048_HANDSHAKE: u32 = 3_600;
const RSA_3072_HANDSHAKE: u32 = 9_000;
const RSA_4096_HANDSHAKE: u32 = 18_500;

/// The validity of a certificate at some time; in whole days from then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// It stays valid for the next [`RENEW_DAYS`] at least.
    Good {
        /// Until it ends.
        days: u64,
    },
    /// It is good and should have been renewed.
    EndsSoon {
        /// Until it ends.
        days: u64,
    },
    /// Clients refuse it.
    Ended {
        /// Since it ended.
        days: u64,
    },
    /// Clients refuse it.
    NotYet {
        /// Until it begins.
        days: u64,
    },
}

/// One sentence, with what to do if anything is to be done.
impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |days: u64| match days {
            0 => "less than a day".to_owned(),
            1 => "1 day".to_owned(),
            days => format!("{days} days"),
        };
        match *self {
            Self::Good { days } => write!(f, "the certificate is good for {}", span(days)),
            Self::EndsSoon { days } => {
                write!(f, "the certificate ends in {}; renew it and send SIGHUP", span(days))
            }
            Self::Ended { days } => {
                write!(f, "the certificate ended {} ago; clients refuse it; get a new one and send SIGHUP", span(days))
            }
            Self::NotYet { days } => write!(
                f,
                "the certificate begins in {}; clients refuse it until then; look at it and at the clock of this machine",
                span(days)
            ),
        }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// Seals the tickets of all identities of this process, so that clients can resume across a new certificate.
fn ticketer() -> Option<Arc<dyn ProducesTickets>> {
    static TICKETER: OnceLock<Option<Arc<dyn ProducesTickets>>> = OnceLock::new();
    // Without random numbers there are no tickets; a handshake will say so.
    TICKETER.get_or_init(|| rustls::crypto::ring::Ticketer::new().ok()).clone()
}

/// Why there is no [`Identity`].
#[derive(Debug)]
pub enum IdentityError {
    /// The chain has no certificate in PEM.
    NoCertificate,
    /// The chain is not X.509 in PEM.
    BadChain,
    /// No private key in PEM was found that is not encrypted.
    NoKey,
    /// A private key of a kind or size that cannot sign here.
    UnfitKey,
    /// The key belongs to another certificate.
    KeyOfAnother,
    /// rustls cannot use them.
    Unfit(rustls::Error),
}

impl IdentityError {
    /// Whether it is about the key, and not about the certificate.
    pub fn is_of_key(&self) -> bool {
        matches!(self, Self::NoKey | Self::UnfitKey | Self::KeyOfAnother)
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCertificate => write!(f, "expected a certificate in PEM, found none"),
            Self::BadChain => write!(f, "expected certificates in PEM, found something that cannot be read as such"),
            Self::NoKey => write!(f, "expected a private key in PEM that is not encrypted, found none"),
            Self::UnfitKey => {
                write!(f, "expected a key of RSA (2048 bits or more), ECDSA (P-256 or P-384) or Ed25519, found another")
            }
            Self::KeyOfAnother => write!(f, "the key is not that of the certificate"),
            Self::Unfit(error) => write!(f, "certificate and key cannot be used: {error}"),
        }
    }
}

impl std::error::Error for IdentityError {}

/// A certificate that ends sooner should have been renewed.
pub const RENEW_DAYS: u64 = 14;

const SECONDS_PER_DAY: u64 = 86_400;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A certificate and its key, made on the spot.
    pub fn identity_pem() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    // Of nobody: made for this test.
    const P521: &str = "-----BEGIN PRIVATE KEY-----\n\
        MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIAOJVwikB7CdQF4kGu\n\
        0qXslfHSLLKkdCdua/f4jgH8Ren+5eVERLbSPt9sOB8dcEZpo3SzUlBXwLYsr0P/\n\
        LXxY0T2hgYkDgYYABAGIyOI9np+jV4X5ZV08weo1DGj8fG+a/Y3aj1myOzxaJ5Um\n\
        5m4bB1eDWggBZmMnsFamIzWqrse9Gj5wAZFi71z6AQGoigHPNpnVq9t8Hl6K6IvP\n\
        2efdX6Lj0S837o7GyyX17PshYE6yECCD482cIqrBlVkTZQY4d2ZEYTSejyIhGXQn\n\
        6g==\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn certificates_and_keys_that_cannot_be() {
        let (one, other) = (identity_pem(), identity_pem());
        for (chain, key, expected) in [
            ("", &*one.1, "expected a certificate in PEM, found none"),
            ("hello", &*one.1, "expected a certificate in PEM, found none"),
            (&*one.0, "", "expected a private key in PEM that is not encrypted, found none"),
            (&*one.0, &*one.0, "expected a private key in PEM that is not encrypted, found none"),
            (&*one.0, &*other.1, "the key is not that of the certificate"),
            (
                &*one.0,
                P521,
                "expected a key of RSA (2048 bits or more), ECDSA (P-256 or P-384) or Ed25519, found another",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                &*one.1,
                "expected certificates in PEM, found something that cannot be read as such",
            ),
        ] {
            let error = Identity::read(chain.as_bytes(), key.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert_eq!(error.is_of_key(), expected.contains("key"), "{expected}");
        }
        assert!(!format!("{:?}", Identity::read(one.0.as_bytes(), one.1.as_bytes()).unwrap()).contains("key"));
    }

    #[test]
    fn what_a_certificate_is_worth() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 3, 1);
        params.not_after = rcgen::date_time_ymd(2026, 5, 30);
        let chain = params.self_signed(&key).unwrap().pem();
        let identity = Identity::read(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let (begins, expires, day) = (identity.begins, identity.expires(), SECONDS_PER_DAY);
        assert_eq!(expires - begins, 90 * day);
        for (now, validity, words) in [
            (begins - 2 * day, Validity::NotYet { days: 2 }, "begins in 2 days; "),
            (begins - 1, Validity::NotYet { days: 0 }, "begins in less than a day; "),
            (begins, Validity::Good { days: 90 }, "is good for 90 days"),
            (expires - 14 * day, Validity::Good { days: 14 }, "is good for 14 days"),
            (expires - 14 * day + 1, Validity::EndsSoon { days: 13 }, "ends in 13 days; renew it"),
            (expires - 1, Validity::EndsSoon { days: 0 }, "ends in less than a day; renew it"),
            (expires, Validity::Ended { days: 0 }, "ended less than a day ago; "),
            (expires + day, Validity::Ended { days: 1 }, "ended 1 day ago; "),
            (expires + 400 * day, Validity::Ended { days: 400 }, "ended 400 days ago; "),
        ] {
            assert_eq!(identity.validity(now), validity, "{now}");
            let said = validity.to_string();
            assert!(said.starts_with(&format!("the certificate {words}")), "{said}");
        }
    }
}
