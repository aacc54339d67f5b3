//! What TLS costs, against the same without it. Asserts nothing about time, and runs only when asked for:
//!
//! ```text
//! BINARY=target/release/salon cargo test --test measure_tls -- --ignored --nocapture
//! ```

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use common::{Server, tcp};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

struct Setup {
    server: Server,
    config: ClientConfig,
}

impl Setup {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("salon-measure-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let (chain, key) = (folder.join("cert.pem"), folder.join("key.pem"));
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let server = Server::serve(&[
            "--tls-listen",
            "127.0.0.1:0",
            "--tls-cert",
            chain.to_str().unwrap(),
            "--tls-key",
            key.to_str().unwrap(),
            "--rate",
            "off",
            "--outbox-bytes",
            "64MiB",
        ]);
        std::fs::remove_dir_all(&folder).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { server, config }
    }

    fn tls(&self, config: &Arc<ClientConfig>) -> StreamOwned<ClientConnection, TcpStream> {
        let client = ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap();
        StreamOwned::new(client, tcp(self.server.tls.unwrap()))
    }

    /// CPU time of the server so far, in microseconds.
    fn cpu(&self) -> f64 {
        let stat = self.server.proc("schedstat");
        stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1000.0
    }

    /// Its resident memory in octets.
    fn resident(&self) -> f64 {
        let status = self.server.proc("status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0
    }

    fn wire(&self, tls: Option<&Arc<ClientConfig>>) -> Box<dyn Wire> {
        match tls {
            Some(config) => Box::new(self.tls(config)),
            None => Box::new(tcp(self.server.public)),
        }
    }

    /// A member of that room in the plain dialect.
    fn member(&self, tls: Option<&Arc<ClientConfig>>, name: usize, room: usize) -> Box<dyn Wire> {
        let mut wire = self.wire(tls);
        let request = format!(
            "GET /ws/r{room}?username=m{name} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        wire.write_all(request.as_bytes()).unwrap();
        hear(&mut wire, 1, b"online_users");
        wire
    }
}

/// Reads until this has come so often.
fn hear(wire: &mut impl Read, count: usize, what: &[u8]) {
    let (mut heard, mut octets, mut len) = (0, [0; 64 << 10], 0);
    while heard < count {
        len += wire.read(&mut octets[len..]).unwrap();
        let mut at = 0;
        while let Some(found) = octets[at..len].windows(what.len()).position(|window| window == what) {
            heard += 1;
            at += found + what.len();
        }
        let kept = (len - at).min(what.len() - 1);
        octets.copy_within(len - kept..len, 0);
        len = kept;
    }
}

/// A masked text frame of 128 octets that begins with `mark`.
fn frame(mark: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 126, 0, 128, 0, 0, 0, 0];
    frame.extend_from_slice(mark);
    frame.resize(8 + 128, b'x');
    frame
}

#[test]
#[ignore = "a measurement"]
fn what_tls_costs() {
    const HANDSHAKES: usize = 500;
    const MEMBERS: usize = 1000;
    const IDLE: usize = 3000;
    let plain_health = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let setup = Setup::new();
    let mut full = setup.config.clone();
    full.resumption = Resumption::disabled();
    let (full, resumed) = (Arc::new(full), Arc::new(setup.config.clone()));
    let rows = [("without TLS", None), ("full handshake", Some(&full)), ("resumed by ticket", Some(&resumed))];
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut again = setup.tls(&resumed);
        again.write_all(plain_health).unwrap();
        again.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(again.conn.handshake_kind(), Some(kind));
    }
    for round in ["first", "second"] {
        for (name, tls) in rows {
            let before = setup.cpu();
            for _ in 0..HANDSHAKES {
                let mut wire = setup.wire(tls);
                wire.write_all(plain_health).unwrap();
                wire.read_to_end(&mut Vec::new()).unwrap();
            }
            println!(
                "{round}: accept, {name}, GET /health, close: {:.1} us",
                (setup.cpu() - before) / HANDSHAKES as f64
            );
        }
    }
    for (name, tls) in [("without TLS", None), ("with TLS", Some(&full))] {
        let before = setup.resident();
        let idle: Vec<_> = (0..IDLE).map(|n| setup.member(tls, n, n)).collect();
        println!(
            "idle, each in a room of its own, {name}: {:.0} octets resident for each",
            (setup.resident() - before) / IDLE as f64
        );
        drop(idle);
    }
    for (name, tls) in [("without TLS", None), ("with TLS", Some(&full))] {
        let setup = Setup::new();
        let config = Arc::new({
            let mut config = setup.config.clone();
            config.resumption = Resumption::disabled();
            config
        });
        let tls = tls.map(|_| &config);
        let mut members: Vec<_> = (0..MEMBERS).map(|n| setup.member(tls, n, 0)).collect();
        for (how, at_once, rounds) in [("one by one", 1, 200), ("32 at once", 32, 30)] {
            let before = setup.cpu();
            for _ in 0..rounds {
                members[0].write_all(&frame(b"#mark").repeat(at_once)).unwrap();
                members.iter_mut().for_each(|member| hear(member, at_once, b"#mark"));
            }
            let deliveries = (MEMBERS * at_once * rounds) as f64;
            println!("1,000 x 128 B, {how}, {name}: {:.2} us for each delivery", (setup.cpu() - before) / deliveries);
        }
    }
}
