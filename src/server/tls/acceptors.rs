//! The certificates of each port, and the acceptors that show them.

use super::identities::Identities;
use super::stream::{Acceptor, Handshakes};

/// Certificates, by the port that shows them; `None`: it speaks no TLS.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// To everybody.
    pub public: Option<Identities>,
    /// To the operator.
    pub admin: Option<Identities>,
}

impl Certificates {
    /// Those there are, with the setting that names them.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Identities)> {
        let admin = self.admin.iter().map(|identities| (ADMIN, identities));
        self.public.iter().map(|identities| (PUBLIC, identities)).chain(admin)
    }
}

/// The acceptors of all ports. They count together.
#[derive(Clone, Debug)]
pub struct Acceptors {
    public: Option<Acceptor>,
    admin: Option<Acceptor>,
}

impl Acceptors {
    /// Those that show these.
    pub fn new(Certificates { public, admin }: Certificates) -> Self {
        let public = public.map(Acceptor::new);
        let admin = admin.map(|identities| match &public {
            Some(other) => other.beside(identities),
            None => Acceptor::new(identities),
        });
        Self { public, admin }
    }

    /// Shows others from now on. A port that was begun without TLS goes on without, and one with it goes on with it.
    pub fn change(&mut self, Certificates { public, admin }: Certificates) {
        for (acceptor, identities) in [(&mut self.public, public), (&mut self.admin, admin)] {
            if let (Some(acceptor), Some(identities)) = (acceptor, identities) {
                acceptor.change_identities(identities);
            }
        }
    }

    /// The acceptor of the operator's port, or that of everybody's.
    pub fn of(&self, operator: bool) -> Option<&Acceptor> {
        if operator { self.admin.as_ref() } else { self.public.as_ref() }
    }

    /// Those there are, with the setting that names their certificates.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Identities)> {
        let all = [(PUBLIC, &self.public), (ADMIN, &self.admin)].into_iter();
        all.filter_map(|(name, acceptor)| Some((name, acceptor.as_ref()?.identities())))
    }

    /// Handshakes by outcome, where TLS is spoken.
    pub fn handshakes(&self) -> Option<&Handshakes> {
        self.any().map(Acceptor::handshakes)
    }

    /// The memory of all connections, in bytes.
    pub fn held_bytes(&self) -> usize {
        self.any().map_or(0, Acceptor::held_bytes)
    }

    fn any(&self) -> Option<&Acceptor> {
        self.public.as_ref().or(self.admin.as_ref())
    }
}

/// The settings that name certificates.
const PUBLIC: &str = "tls_cert";
const ADMIN: &str = "admin_tls_cert";
