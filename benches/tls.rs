//! What does TLS cost the server, against the same without it: a connection, a delivery, a member who is idle?
//!
//! Input: the binary as a process of its own; rustls as its clients here (TLS 1.3, a P-256 certificate), over loopback.
//! CPU is that of the server's thread (`/proc/PID/schedstat`) and memory that of its process (`VmRSS`): the clients are
//! in neither. With and without TLS take turns, so that other work of the machine falls on both; printed are the median
//! of the rounds, the least and the most. The bench asserts that sessions are resumed where it says so, and that every
//! member hears every message. Linux only. `cargo bench --bench tls`; a part of it:
//! `cargo bench --bench tls -- deliveries` (or `connections`, `idle_members`); another build of the server:
//! `BINARY=target/release/salon cargo bench --bench tls`

#[path = "../tests/it/common/mod.rs"]
#[expect(dead_code, reason = "the rest of it is for the tests")]
mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use common::{Server, tcp};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` runs it too, and asks for nothing.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    // A descriptor for each client, and for each of those that are there meanwhile.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
    println!("| | median | least | most |\n|---|---|---|---|");
    let named = |part: &str| arguments.iter().any(|argument| part == argument);
    let parts: [(&str, fn()); 3] =
        [("connections", connections), ("deliveries", deliveries), ("idle_members", idle_members)];
    let all = !parts.iter().any(|(part, _)| named(part));
    for (part, measure) in parts {
        if all || named(part) {
            measure();
        }
    }
}

/// The figures of some rounds.
fn row(what: &str, way: &str, mut rounds: Vec<f64>) {
    rounds.sort_by(f64::total_cmp);
    let (least, most) = (rounds[0], rounds[rounds.len() - 1]);
    println!("| {what}, {way} | {:.2} | {least:.2} | {most:.2} |", rounds[rounds.len() / 2]);
}

/// A connection, one GET, the end.
fn connections() {
    const ROUNDS: usize = 5;
    const CONNECTIONS: usize = 200;
    const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    let setup = Setup::new();
    let (full, resumed) = (setup.always_full(), Arc::new(setup.config.clone()));
    let ask = |config: &Arc<ClientConfig>| {
        let mut wire = setup.tls(config);
        wire.write_all(HEALTH).unwrap();
        wire.read_to_end(&mut Vec::new()).unwrap();
        wire.conn.handshake_kind().unwrap()
    };
    // The first has no ticket yet.
    assert_eq!(ask(&resumed), HandshakeKind::Full);
    let mut rows = [
        ("without TLS", None, Vec::new()),
        ("full handshake", Some((&full, HandshakeKind::Full)), Vec::new()),
        ("resumed by ticket", Some((&resumed, HandshakeKind::Resumed)), Vec::new()),
    ];
    for _ in 0..ROUNDS {
        for (_, way, rounds) in &mut rows {
            let before = setup.cpu();
            for _ in 0..CONNECTIONS {
                match way {
                    Some((config, kind)) => assert_eq!(ask(config), *kind),
                    None => {
                        let mut wire = tcp(setup.server.public);
                        wire.write_all(HEALTH).unwrap();
                        wire.read_to_end(&mut Vec::new()).unwrap();
                    }
                }
            }
            rounds.push((setup.cpu() - before) / CONNECTIONS as f64);
        }
    }
    for (way, _, rounds) in rows {
        row("us: accept, GET /health, close", way, rounds);
    }
}

/// One member speaks, all hear it.
fn deliveries() {
    const ROUNDS: usize = 5;
    const MEMBERS: usize = 1000;
    let setups = [("without TLS", false), ("with TLS", true)].map(|(way, tls)| (way, tls, Setup::new()));
    let mut rooms = setups.each_ref().map(|(_, tls, setup)| {
        let config = setup.always_full();
        (0..MEMBERS).map(|n| setup.member(tls.then_some(&config), n, 0)).collect::<Vec<_>>()
    });
    for (how, at_once, messages) in [("one message at a time", 1, 20), ("32 at once", 32, 4)] {
        let mut rows = [const { Vec::new() }; 2];
        for _ in 0..ROUNDS {
            for ((rounds, members), (_, _, setup)) in rows.iter_mut().zip(&mut rooms).zip(&setups) {
                let before = setup.cpu();
                for _ in 0..messages {
                    members[0].write_all(&frame(b"#mark").repeat(at_once)).unwrap();
                    members.iter_mut().for_each(|member| hear(member, at_once, b"#mark"));
                }
                rounds.push((setup.cpu() - before) / (MEMBERS * at_once * messages) as f64);
            }
        }
        for (rounds, (way, _, _)) in rows.into_iter().zip(&setups) {
            row(&format!("us: a delivery, 1,000 members x 128 B, {how}"), way, rounds);
        }
    }
}

/// Each in a room of its own, on a server that has had no others.
fn idle_members() {
    const ROUNDS: usize = 3;
    const MEMBERS: usize = 2000;
    for (way, tls) in [("without TLS", false), ("with TLS", true)] {
        let rounds = (0..ROUNDS).map(|_| {
            let setup = Setup::new();
            let config = setup.always_full();
            let before = setup.resident();
            let members: Vec<_> = (0..MEMBERS).map(|n| setup.member(tls.then_some(&config), n, n)).collect();
            let held = (setup.resident() - before) / MEMBERS as f64;
            drop(members);
            held
        });
        row("bytes resident: an idle member in a room of its own", way, rounds.collect());
    }
}

trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

struct Setup {
    server: Server,
    config: ClientConfig,
}

impl Setup {
    fn new() -> Self {
        let folder = std::env::temp_dir().join(format!("salon-bench-tls-{}", std::process::id()));
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

    /// A client that brings no tickets.
    fn always_full(&self) -> Arc<ClientConfig> {
        let mut config = self.config.clone();
        config.resumption = Resumption::disabled();
        Arc::new(config)
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

    /// Its resident memory in bytes.
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
    let (mut heard, mut bytes, mut len) = (0, [0; 64 << 10], 0);
    while heard < count {
        len += wire.read(&mut bytes[len..]).unwrap();
        let mut at = 0;
        while let Some(found) = bytes[at..len].windows(what.len()).position(|window| window == what) {
            heard += 1;
            at += found + what.len();
        }
        let kept = (len - at).min(what.len() - 1);
        bytes.copy_within(len - kept..len, 0);
        len = kept;
    }
}

/// A masked text frame of 128 bytes that begins with `mark`.
fn frame(mark: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x81, 0x80 | 126, 0, 128, 0, 0, 0, 0];
    frame.extend_from_slice(mark);
    frame.resize(8 + 128, b'x');
    frame
}
