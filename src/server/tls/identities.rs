//! Several certificates on one port, of which each client is shown one by the name that it asks for (SNI, RFC 6066).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::ServerConfig;
use rustls::server::{ClientHello, NoServerSessionStorage, ProducesTickets, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::identity::Identity;

/// One or more certificates, ready for handshakes.
///
/// A client gets the first one that has the name it asks for; else the first one that has it by a wildcard; else the
/// first of all, as who asks for no name does. Of certificates for one name those come first whose key the client can
/// verify: so there may be one with ECDSA and one with RSA.
#[derive(Clone)]
pub struct Identities {
    all: Arc<[Identity]>,
    config: Arc<ServerConfig>,
}

impl Identities {
    /// These; the first one is for clients that ask for no name, or for one that none has.
    pub fn of(first: Identity, others: Vec<Identity>) -> Self {
        let all: Arc<[Identity]> = std::iter::once(first).chain(others).collect();
        let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider knows TLS 1.2 and 1.3")
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(ByName::of(&all)));
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Sessions are resumed by tickets: state that the client keeps costs no memory here.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        if let Some(ticketer) = ticketer() {
            config.ticketer = ticketer;
        }
        Self { all, config: Arc::new(config) }
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Identity] {
        &self.all
    }

    /// All of them with what they are called beside a setting: by its key alone if there is but one, else with a number
    /// and a name.
    pub fn called<'a>(&'a self, key: &'a str) -> impl Iterator<Item = (String, &'a Identity)> {
        self.all.iter().enumerate().map(move |(at, one)| match self.all.len() {
            1 => (key.to_owned(), one),
            _ => (format!("{key} {} ({})", at + 1, one.name()), one),
        })
    }

    /// The cost of a handshake with the one that costs the most: which it is the client has not said yet.
    pub fn handshake_steps(&self) -> u32 {
        self.all.iter().map(Identity::handshake_steps).max().unwrap_or_default()
    }

    /// Names for which a certificate is never shown, because an earlier one with a key of the same kind has them.
    pub fn overlaps(&self) -> Vec<Overlap> {
        let mut first = BTreeMap::new();
        let mut overlaps = Vec::new();
        for (at, one) in self.all.iter().enumerate() {
            for name in one.names() {
                let before = *first.entry((folded(name), one.algorithm())).or_insert(at);
                if before != at {
                    overlaps.push(Overlap { name: name.clone(), first: before + 1, second: at + 1 });
                }
            }
        }
        overlaps
    }

    /// The configuration for rustls.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

impl From<Identity> for Identities {
    fn from(one: Identity) -> Self {
        Self::of(one, Vec::new())
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&*self.all).finish()
    }
}

/// Two certificates for one name. They are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The name.
    pub name: String,
    /// The one that is shown.
    pub first: usize,
    /// The one that is not.
    pub second: usize,
}

/// One sentence.
impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, first, second } = self;
        write!(f, "certificates {first} and {second} are both for {name}; clients that ask for it are shown {first}")
    }
}

/// Chooses a certificate for a client.
#[derive(Debug)]
struct ByName {
    all: Vec<Arc<CertifiedKey>>,
    /// Certificates by a name of theirs, or by `*.` and a parent.
    named: BTreeMap<String, Vec<usize>>,
}

impl ByName {
    fn of(all: &[Identity]) -> Self {
        let mut named: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (at, one) in all.iter().enumerate() {
            one.names().iter().for_each(|name| named.entry(folded(name)).or_default().push(at));
        }
        Self { all: all.iter().map(|one| one.certified().clone()).collect(), named }
    }

    /// The certificates for a name, the best first.
    fn candidates<'a>(&'a self, name: Option<&str>) -> impl Iterator<Item = usize> + use<'a> {
        let name = name.map(folded);
        // A wildcard stands for one label (RFC 6125 section 6.4.3).
        let parent = name.as_ref().and_then(|name| name.split_once('.')).map(|(_, parent)| format!("*.{parent}"));
        let of = |name: Option<String>| name.and_then(|name| self.named.get(&name)).into_iter().flatten().copied();
        of(name).chain(of(parent)).chain(0..self.all.len())
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let suits = |&at: &usize| self.all[at].key.choose_scheme(schemes).is_some();
        let name = hello.server_name();
        let chosen = self.candidates(name).find(suits).or_else(|| self.candidates(name).next())?;
        Some(self.all[chosen].clone())
    }
}

/// A name as it is compared: without regard to case, and to the dot of the root.
fn folded(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// Seals the tickets of all identities of this process, so that clients can resume across a new certificate.
fn ticketer() -> Option<Arc<dyn ProducesTickets>> {
    static TICKETER: OnceLock<Option<Arc<dyn ProducesTickets>>> = OnceLock::new();
    // Without random numbers there are no tickets; a handshake will say so.
    TICKETER.get_or_init(|| rustls::crypto::ring::Ticketer::new().ok()).clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(names: &[&str], algorithm: &'static rcgen::SignatureAlgorithm) -> Identity {
        let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let chain = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem();
        Identity::read(chain.as_bytes(), key.serialize_pem().as_bytes()).unwrap()
    }

    #[test]
    fn a_name_is_looked_for_as_it_is_then_by_a_wildcard_then_the_first_is_taken() {
        let ecdsa = &rcgen::PKCS_ECDSA_P256_SHA256;
        let all = [
            identity(&["first.example"], ecdsa),
            identity(&["*.b.example", "B.example"], ecdsa),
            identity(&["chat.b.example", "*.c.b.example"], ecdsa),
            identity(&["b.example"], &rcgen::PKCS_ED25519),
        ];
        let by_name = ByName::of(&all);
        for (asked, expected) in [
            (None, &[0, 1, 2, 3][..]),
            (Some("nobody.example"), &[0, 1, 2, 3]),
            (Some("first.example"), &[0, 0, 1, 2, 3]),
            (Some("b.example"), &[1, 3, 0, 1, 2, 3]),
            (Some("B.EXAMPLE."), &[1, 3, 0, 1, 2, 3]),
            (Some("chat.b.example"), &[2, 1, 0, 1, 2, 3]),
            (Some("other.b.example"), &[1, 0, 1, 2, 3]),
            (Some("a.c.b.example"), &[2, 0, 1, 2, 3]),
            (Some("a.other.b.example"), &[0, 1, 2, 3]),
            (Some("example"), &[0, 1, 2, 3]),
            (Some(""), &[0, 1, 2, 3]),
            // The words of a certificate are no name of a client.
            (Some("*.b.example"), &[1, 1, 0, 1, 2, 3]),
        ] {
            assert_eq!(by_name.candidates(asked).collect::<Vec<_>>(), expected, "{asked:?}");
        }
    }

    #[test]
    fn names_that_two_certificates_have_are_told() {
        let ecdsa = &rcgen::PKCS_ECDSA_P256_SHA256;
        let [first, second, other] = [
            identity(&["a.example", "b.example"], ecdsa),
            identity(&["c.example", "B.example"], ecdsa),
            identity(&["a.example"], &rcgen::PKCS_ED25519),
        ];
        let names = |all: Identities| all.called("tls_cert").map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(first.clone().into()), ["tls_cert"]);
        let all = Identities::of(first, vec![second, other]);
        let overlaps: Vec<String> = all.overlaps().iter().map(ToString::to_string).collect();
        let sentence = "certificates 1 and 2 are both for B.example; clients that ask for it are shown 1";
        assert_eq!(overlaps, [sentence]);
        assert_eq!(names(all), ["tls_cert 1 (a.example)", "tls_cert 2 (c.example)", "tls_cert 3 (a.example)"]);
    }
}
