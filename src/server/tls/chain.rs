//! What a server's chain of certificates is worth: its names and purpose, who has issued which, and until when they are
//! valid.
//!
//! It asks no clock: the time is an argument, in seconds since the Unix epoch. It verifies no signature: a mistake of
//! an operator is a file that lacks certificates, or has those of another.

use std::fmt;
use std::net::IpAddr;

use x509_cert::Certificate;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, ExtendedKeyUsage, SubjectAltName, SubjectKeyIdentifier};

/// What is wrong with a chain whatever the time is, and when those behind the first end.
#[derive(Clone)]
pub(super) struct Chain {
    faults: Vec<Fault>,
    /// The end of each certificate behind the first, if it can be read.
    ends: Vec<Option<u64>>,
}

impl Chain {
    /// That of a certificate, with those behind it that can be read.
    pub(super) fn of(certificate: &Certificate, issuers: &[Option<Certificate>]) -> Self {
        let ends = issuers.iter().map(|issuer| issuer.as_ref().map(ends)).collect();
        Self { faults: faults(certificate, issuers), ends }
    }

    /// What is wrong with it at that time.
    pub(super) fn faults(&self, now: u64) -> Vec<Fault> {
        let ended = |(at, &end): (usize, &Option<u64>)| {
            let number = at + 2;
            // When it begins is not looked at.
            match Validity::at(0, end?, now) {
                Validity::Ended { days } => Some(Fault::Ended { number, days }),
                Validity::EndsSoon { days } => Some(Fault::EndsSoon { number, days }),
                Validity::Good { .. } | Validity::NotYet { .. } => None,
            }
        };
        self.faults.iter().copied().chain(self.ends.iter().enumerate().filter_map(ended)).collect()
    }
}

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

impl Validity {
    /// That of a certificate which begins and ends at these times.
    pub(super) fn at(begins: u64, expires: u64, now: u64) -> Self {
        let days = |seconds: u64| seconds / SECONDS_PER_DAY;
        match expires.checked_sub(now) {
            None | Some(0) => Self::Ended { days: days(now - expires) },
            _ if begins > now => Self::NotYet { days: days(begins - now) },
            Some(left) if days(left) < RENEW_DAYS => Self::EndsSoon { days: days(left) },
            Some(left) => Self::Good { days: days(left) },
        }
    }
}

/// One sentence, with what to do if anything is to be done.
impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
                "the certificate begins in {}; clients refuse it until then; look at it and at the clock of this \
                 machine",
                span(days)
            ),
        }
    }
}

/// Why clients may refuse a certificate that is valid by its time. Certificates are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its issuer is not in the file, so that only clients which know that issuer already can follow it.
    IssuerMissing,
    /// One cannot be read.
    Unreadable {
        /// Which.
        number: usize,
    },
    /// One is not that of the issuer of the one before it. Clients may put them in order, and leave out what they do
    /// not need (RFC 8446 section 4.4.2); not all do.
    NotIssuer {
        /// Which.
        number: usize,
    },
    /// One behind the first ends soon.
    EndsSoon {
        /// Which.
        number: usize,
        /// Whole days until then.
        days: u64,
    },
    /// One behind the first has ended. Clients that know the issuer of the one before it do not need it.
    Ended {
        /// Which.
        number: usize,
        /// Whole days since.
        days: u64,
    },
    /// The first is not for servers.
    NotForServers,
    /// The first has no name that clients look at.
    NoName,
}

impl Fault {
    /// Whether all clients refuse it, and not some of them.
    pub fn is_refused(self) -> bool {
        match self {
            Self::NotForServers | Self::NoName => true,
            Self::IssuerMissing
            | Self::Unreadable { .. }
            | Self::NotIssuer { .. }
            | Self::EndsSoon { .. }
            | Self::Ended { .. } => false,
        }
    }
}

/// One sentence, with what to do.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::IssuerMissing => f.write_str(
                "the certificate stands alone, without that of its issuer; clients that do not know the issuer refuse \
                 it; take the file with the whole chain (fullchain.pem)",
            ),
            Self::NotIssuer { number } => write!(
                f,
                "certificate {number} is not that of the issuer of the one before it; some clients refuse the chain; \
                 put the server's own first and each issuer behind it"
            ),
            Self::Unreadable { number } => write!(
                f,
                "certificate {number} of the chain cannot be read; clients that look at it refuse the chain; take it \
                 out or put a whole one there"
            ),
            Self::EndsSoon { number, days } => write!(
                f,
                "certificate {number} of the chain ends in {}; clients that need it refuse the chain then; renew it",
                span(days)
            ),
            Self::Ended { number, days } => write!(
                f,
                "certificate {number} of the chain ended {} ago; clients that need it refuse the chain; renew it",
                span(days)
            ),
            Self::NotForServers => f.write_str(
                "the certificate is not for servers (its extended key usage has no serverAuth); clients refuse it",
            ),
            Self::NoName => {
                f.write_str("the certificate has no name that clients look at (subjectAltName); they refuse it")
            }
        }
    }
}

/// The names and addresses that a certificate is for.
pub(super) fn names(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(all)))) = certificate.tbs_certificate.get() else { return Vec::new() };
    let named = |name: &GeneralName| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => {
            let bytes = bytes.as_bytes();
            let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from).ok();
            four.or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok()).map(|address| address.to_string())
        }
        _ => None,
    };
    all.iter().filter_map(named).collect()
}

/// What is wrong whatever the time is.
fn faults(certificate: &Certificate, issuers: &[Option<Certificate>]) -> Vec<Fault> {
    let first = &certificate.tbs_certificate;
    let mut faults = Vec::new();
    if names(certificate).is_empty() {
        faults.push(Fault::NoName);
    }
    if let Ok(Some((_, ExtendedKeyUsage(uses)))) = first.get()
        && !uses.iter().any(|one| [SERVER_AUTH, ANY_USE].contains(&&*one.to_string()))
    {
        faults.push(Fault::NotForServers);
    }
    // One that is its own issuer is believed for itself, or not at all.
    if issuers.is_empty() && first.issuer != first.subject {
        faults.push(Fault::IssuerMissing);
    }
    let mut before = Some(certificate);
    for (at, issuer) in issuers.iter().enumerate() {
        let number = at + 2;
        match (before, issuer) {
            (_, None) => faults.push(Fault::Unreadable { number }),
            (Some(one), Some(issuer)) if !issued(one, issuer) => {
                faults.push(Fault::NotIssuer { number });
                // What is behind it says nothing more.
                break;
            }
            _ => {}
        }
        before = issuer.as_ref();
    }
    faults
}

/// Whether a certificate says that another is its issuer's: by the name of the key where both say it, else by name.
fn issued(one: &Certificate, issuer: &Certificate) -> bool {
    let (one, issuer) = (&one.tbs_certificate, &issuer.tbs_certificate);
    let key = one.get::<AuthorityKeyIdentifier>().ok().flatten().and_then(|(_, key)| key.key_identifier);
    let of_issuer = issuer.get::<SubjectKeyIdentifier>().ok().flatten().map(|(_, SubjectKeyIdentifier(key))| key);
    key.zip(of_issuer).map_or(one.issuer == issuer.subject, |(key, of_issuer)| key == of_issuer)
}

fn ends(certificate: &Certificate) -> u64 {
    certificate.tbs_certificate.validity.not_after.to_unix_duration().as_secs()
}

fn span(days: u64) -> String {
    match days {
        0 => "less than a day".to_owned(),
        1 => "1 day".to_owned(),
        days => format!("{days} days"),
    }
}

/// Extended key usages (RFC 5280 section 4.2.1.12).
const SERVER_AUTH: &str = "1.3.6.1.5.5.7.3.1";
const ANY_USE: &str = "2.5.29.37.0";

/// A certificate that ends sooner should have been renewed.
pub const RENEW_DAYS: u64 = 14;

pub(super) const SECONDS_PER_DAY: u64 = 86_400;
