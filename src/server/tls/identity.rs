//! A server's certificate with its key, ready for handshakes; [`super::identities`] chooses among several.
//!
//! It reads no files and asks no clock: certificate and key come as bytes, the time is an argument. What its chain is
//! worth is told by [`super::chain`].

use std::fmt;
use std::sync::Arc;

use super::chain::{Chain, Fault, Validity, names};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// A certificate with its key, ready for handshakes.
#[derive(Clone)]
pub struct Identity {
    key: Arc<CertifiedKey>,
    begins: u64,
    expires: u64,
    rsa_bits: Option<u32>,
    names: Vec<String>,
    chain: Chain,
    /// The first certificate, as it was read.
    first: CertificateDer<'static>,
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
        let first = first.clone();
        let certificate = &Certificate::from_der(&first).map_err(|_| IdentityError::BadChain)?;
        // Clients may never look at the others.
        let issuers: Vec<Option<Certificate>> = chain[1..].iter().map(|one| Certificate::from_der(one).ok()).collect();
        let x509_cert::time::Validity { not_before, not_after } = certificate.tbs_certificate.validity;
        let public = &certificate.tbs_certificate.subject_public_key_info;
        // The key in DER is the modulus and some bytes more.
        let rsa_bits = (public.algorithm.oid.to_string() == RSA)
            .then(|| public.subject_public_key.raw_bytes().len() as u32 / 64 * 512);
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|_| IdentityError::NoKey)?;
        let provider = rustls::crypto::ring::default_provider();
        // Checked by itself, so that an unusable key is not blamed on the certificate.
        provider.key_provider.load_private_key(key.clone_key()).map_err(|_| IdentityError::UnfitKey)?;
        let certified = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider);
        let certified = certified.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let at = (1..chain.len()).find(|&at| fits(&chain[at], &key, &provider));
                at.map_or(IdentityError::KeyOfAnother, |at| IdentityError::NotFirst { number: at + 1 })
            }
            error => IdentityError::Unfit(error),
        })?;
        let [begins, expires] = [not_before, not_after].map(|time| time.to_unix_duration().as_secs());
        let (names, chain) = (names(certificate), Chain::of(certificate, &issuers));
        Ok(Self { key: Arc::new(certified), begins, expires, rsa_bits, names, chain, first })
    }

    /// Whether both have the same certificate.
    pub fn has_the_certificate_of(&self, other: &Self) -> bool {
        self.first == other.first
    }

    /// The names that the certificate is for.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The first of them, by which it is told from others.
    pub fn name(&self) -> &str {
        self.names.first().map_or("without a name", String::as_str)
    }

    /// What is wrong with the certificate and its chain at that time, beside the [validity](Self::validity) of the
    /// first.
    pub fn faults(&self, now: u64) -> Vec<Fault> {
        self.chain.faults(now)
    }

    /// The same for rustls.
    pub(super) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// The kind of its key, as TLS numbers them.
    pub(super) fn algorithm(&self) -> u8 {
        self.key.key.algorithm().into()
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

    /// When the server's own certificate ends, in seconds since the Unix epoch.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// The validity of the certificate at that time, in seconds since the Unix epoch.
    pub fn validity(&self, now: u64) -> Validity {
        Validity::at(self.begins, self.expires, now)
    }
}

/// The names of the first certificate in PEM; none if there is none that can be read.
pub fn names_of(chain: &[u8]) -> Vec<String> {
    let first = CertificateDer::pem_slice_iter(chain).next().and_then(Result::ok);
    first.and_then(|first| Certificate::from_der(&first).ok()).map(|first| names(&first)).unwrap_or_default()
}

/// Whether a key is that of a certificate.
fn fits(certificate: &CertificateDer<'static>, key: &PrivateKeyDer<'static>, provider: &CryptoProvider) -> bool {
    CertifiedKey::from_der(vec![certificate.clone()], key.clone_key(), provider).is_ok()
}

/// The name of RSA keys (RFC 8017).
const RSA: &str = "1.2.840.113549.1.1.1";

/// The cost of a handshake, in steps of some 250 ns, by the server's key: 0.27, 0.9 and 4.6 ms were measured.
const HANDSHAKE: u32 = 1_000;
const RSA_2048_HANDSHAKE: u32 = 3_600;
const RSA_3072_HANDSHAKE: u32 = 9_000;
const RSA_4096_HANDSHAKE: u32 = 18_500;

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("expires", &self.expires).finish_non_exhaustive()
    }
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
    /// The key belongs to a certificate that is not the first.
    NotFirst {
        /// Which it is, counted from 1.
        number: usize,
    },
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
            Self::NotFirst { number } => {
                write!(f, "the key is that of certificate {number}; put that one first, and its issuers behind it")
            }
            Self::Unfit(error) => write!(f, "certificate and key cannot be used: {error}"),
        }
    }
}

impl std::error::Error for IdentityError {}

#[cfg(test)]
pub(super) mod tests {
    use super::super::chain::SECONDS_PER_DAY;
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

    /// A certificate of that name, signed by itself or by another.
    fn signed(
        name: &str,
        by: Option<&rcgen::Issuer<'_, rcgen::KeyPair>>,
        change: impl FnOnce(&mut rcgen::CertificateParams),
    ) -> (String, rcgen::KeyPair, rcgen::CertificateParams) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new([format!("{name}.example")]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.use_authority_key_identifier_extension = by.is_some();
        change(&mut params);
        let made = match by {
            Some(issuer) => params.signed_by(&key, issuer),
            None => params.self_signed(&key),
        };
        (made.unwrap().pem(), key, params)
    }

    #[test]
    fn a_chain_that_clients_cannot_follow_is_told() {
        let ca = |params: &mut rcgen::CertificateParams| {
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.not_after = rcgen::date_time_ymd(2026, 5, 1);
        };
        let (root_pem, root_key, root_params) = signed("root", None, ca);
        let root = rcgen::Issuer::new(root_params, root_key);
        let (twin_pem, ..) = signed("root", None, ca);
        let (other_pem, ..) = signed("other", None, ca);
        let (leaf, key, _) = signed("leaf", Some(&root), |_| {});
        let (own, own_key, _) = signed("own", None, |_| {});
        let (client, client_key, _) = signed("client", Some(&root), |params| {
            params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        });
        let (nameless, nameless_key, _) = signed("nameless", Some(&root), |params| params.subject_alt_names.clear());
        let odd = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned();
        let end = rcgen::date_time_ymd(2026, 5, 1).unix_timestamp() as u64;
        let day = SECONDS_PER_DAY;
        for (chain, key, now, expected) in [
            (&[&leaf, &root_pem][..], &key, end - 14 * day, &[][..]),
            (&[&leaf, &root_pem], &key, end - 14 * day + 1, &[Fault::EndsSoon { number: 2, days: 13 }]),
            (&[&leaf, &root_pem], &key, end - 1, &[Fault::EndsSoon { number: 2, days: 0 }]),
            (&[&leaf, &odd], &key, 0, &[Fault::Unreadable { number: 2 }]),
            (&[&leaf, &root_pem, &odd], &key, 0, &[Fault::Unreadable { number: 3 }]),
            (&[&leaf, &root_pem], &key, end, &[Fault::Ended { number: 2, days: 0 }]),
            (&[&leaf, &root_pem], &key, end + 3 * day, &[Fault::Ended { number: 2, days: 3 }]),
            (&[&leaf], &key, 0, &[Fault::IssuerMissing]),
            (&[&leaf, &other_pem], &key, 0, &[Fault::NotIssuer { number: 2 }]),
            // Another of the same name.
            (&[&leaf, &twin_pem], &key, 0, &[Fault::NotIssuer { number: 2 }]),
            (&[&leaf, &root_pem, &other_pem], &key, 0, &[Fault::NotIssuer { number: 3 }]),
            (&[&own], &own_key, 0, &[]),
            (&[&client, &root_pem], &client_key, 0, &[Fault::NotForServers]),
            (&[&nameless, &root_pem], &nameless_key, 0, &[Fault::NoName]),
        ] {
            let pem: String = chain.iter().map(|one| one.as_str()).collect();
            let identity = Identity::read(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
            assert_eq!(identity.faults(now), expected, "{} certificates", chain.len());
            assert!(expected.iter().all(|fault| fault.to_string().contains("refuse")));
        }
        let pem = format!("{leaf}{root_pem}");
        let identity = Identity::read(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        assert_eq!((identity.names(), identity.expires()), (&["leaf.example".to_owned()][..], identity.expires));
        assert_ne!(identity.expires(), end);
        // The issuer first.
        let pem = format!("{root_pem}{leaf}");
        let error = Identity::read(pem.as_bytes(), key.serialize_pem().as_bytes()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the key is that of certificate 2; put that one first, and its issuers behind it"
        );
        assert!(!error.is_of_key());
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
