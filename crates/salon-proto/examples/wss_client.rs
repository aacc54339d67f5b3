//! A blocking client over TLS: `rustls::StreamOwned` is a `Read + Write` like any other.
//!
//! ```sh
//! cargo run -p salon-proto --example wss_client --features getrandom localhost 8443 /ws ca.pem "what is said"
//! ```

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use salon_proto::blocking::WebSocket;
use salon_proto::{ClientRequest, CloseCode, Event, Message, Offer, random};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, target, authority, said] = &arguments[..] else {
        return Err(io::Error::other("expected HOST PORT TARGET CA.pem TEXT"));
    };
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(authority).map_err(io::Error::other)? {
        roots.add(certificate.map_err(io::Error::other)?).map_err(io::Error::other)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
    let tls = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    let stream = StreamOwned::new(tls, TcpStream::connect(format!("{host}:{port}"))?);

    let authority = format!("{host}:{port}");
    let request = ClientRequest::new(&authority, random::nonce()).target(target).deflate(Offer::new());
    let mut socket = WebSocket::connect(stream, &request, random::keys())?;
    socket.send(Message::Text(said))?;
    while let Some((event, mut sender)) = socket.read()? {
        if let Event::Text(text) = event {
            println!("{text}");
            sender.close(Some((CloseCode::NORMAL, "")))?;
        }
    }
    Ok(())
}
