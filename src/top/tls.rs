//! TLS to an admin port: which certificates a client takes for the server's.

use std::fmt;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// What the server is known by.
#[derive(Clone, Debug)]
pub enum Known {
    /// Any certificate for its name that this machine trusts.
    System,
    /// A file of certificates in PEM: its first one, whatever the server is called here; one that the others, or this
    /// machine's, vouch for, for one of `names`; or one for its name that an issuer in the file vouches for.
    By {
        /// The file.
        pem: Vec<u8>,
        /// The names of its first certificate.
        names: Vec<String>,
    },
}

/// The configuration of a client that knows its server so.
///
/// # Errors
/// What is missing, in one sentence.
pub fn config(known: &Known) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .expect("the provider knows TLS 1.2 and 1.3");
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut config = match known {
        Known::System if roots.is_empty() => {
            return Err("expected certificates that this machine trusts, found none; name the server's with \
                        --admin-tls-cert"
                .into());
        }
        Known::System => builder.with_root_certificates(roots).with_no_client_auth(),
        Known::By { pem, names } => {
            let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
            let certificates = certificates.ok().filter(|all| !all.is_empty());
            let certificates = certificates.ok_or("expected certificates in PEM, found none")?;
            let first = certificates[0].clone();
            roots.add_parsable_certificates(certificates);
            let others = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
            let others =
                others.map_err(|error| format!("expected a certificate that can vouch, found none: {error}"))?;
            let names = names.iter().filter_map(|name| ServerName::try_from(name.clone()).ok()).collect();
            let verifier = Arc::new(ByFile { first, names, others });
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Knows a server by a file that it shows, or has shown before it was renewed.
struct ByFile {
    first: CertificateDer<'static>,
    /// The names of the first.
    names: Vec<ServerName<'static>>,
    /// Trusts what the file and the machine do.
    others: Arc<WebPkiServerVerifier>,
}

impl fmt::Debug for ByFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByFile").field("names", &self.names).finish_non_exhaustive()
    }
}

impl ServerCertVerifier for ByFile {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *end_entity == self.first {
            return Ok(ServerCertVerified::assertion());
        }
        let verify = |name| self.others.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        // The file may be newer than what the server shows: by `salon reload` it will learn of it.
        verify(server_name).or_else(|error| self.names.iter().find_map(|name| verify(name).ok()).ok_or(error))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.others.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.others.supported_verify_schemes()
    }
}
