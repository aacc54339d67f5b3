//! TLS over real sockets: rustls as a client here; `tests/clients` has openssl, curl and Python.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::{PATIENCE, Server, exchange, get, hear_with, salon, say, status, tcp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned, SupportedProtocolVersion};
use tungstenite::{Message, WebSocket};

type Tls = StreamOwned<ClientConnection, TcpStream>;

/// A folder with a certificate for localhost, gone at the end.
pub struct Certificate {
    folder: PathBuf,
    der: CertificateDer<'static>,
}

impl Certificate {
    pub fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("salon-tls-{}-{number}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let mut made = Self { folder, der: CertificateDer::from(Vec::new()) };
        made.renew();
        made
    }

    /// Another one in the same place.
    fn renew(&mut self) {
        self.renew_for(&["localhost"]);
    }

    /// Another one in the same place, for these names.
    fn renew_for(&mut self, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).unwrap();
        fs::write(self.chain(), made.cert.pem()).unwrap();
        fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
        self.der = CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap();
    }

    /// Another one for the same key, good from so many days from now to so many, and half a day later.
    fn date(&self, begins: i64, ends: i64) {
        let key = rcgen::KeyPair::from_pem(&fs::read_to_string(self.key()).unwrap()).unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        let from_now =
            |days: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs((now + days * 86_400 + 43_200) as u64);
        let mut params = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (from_now(begins), from_now(ends));
        fs::write(self.chain(), params.self_signed(&key).unwrap().pem()).unwrap();
    }

    pub fn chain(&self) -> PathBuf {
        self.folder.join("cert.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.folder.join("key.pem")
    }

    /// `salon serve` with TLS and plain ports.
    fn serve(&self, arguments: &[&str]) -> Server {
        let (chain, key) = (self.chain(), self.key());
        let tls =
            ["--tls-listen", "127.0.0.1:0", "--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
        Server::serve(&[&tls, arguments].concat())
    }

    /// A client that trusts this certificate alone, and asks for localhost.
    fn client(&self, versions: &[&'static SupportedProtocolVersion], alpn: &[&[u8]]) -> ClientConnection {
        self.client_of("localhost", versions, alpn)
    }

    /// Whether a client that trusts this certificate alone is served under that name.
    fn serves(&self, server: &Server, name: &str) -> bool {
        [&TLS12, &TLS13].into_iter().all(|version| {
            let mut stream = StreamOwned::new(self.client_of(name, &[version], &[]), tcp(server.tls.unwrap()));
            stream.write_all(HEALTH).is_ok() && status(&String::from_utf8(read_to_end(&mut stream).0).unwrap()) == 200
        })
    }

    fn client_of(
        &self,
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
        alpn: &[&[u8]],
    ) -> ClientConnection {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap()
    }

    pub fn stream(&self, address: SocketAddr) -> Tls {
        StreamOwned::new(self.client(&[&TLS13, &TLS12], &[]), tcp(address))
    }

    fn connect(&self, server: &Server, target: &str) -> WebSocket<Tls> {
        self.connect_by(self.stream(server.tls.unwrap()), target)
    }

    fn connect_by(&self, stream: Tls, target: &str) -> WebSocket<Tls> {
        tungstenite::client(format!("wss://localhost{target}"), stream).expect("the door opens").0
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn listen(client: &mut WebSocket<Tls>, parts: &[&str]) -> String {
    loop {
        if let Message::Text(text) = client.read().expect("a message")
            && parts.iter().all(|part| text.contains(part))
        {
            return text.to_string();
        }
    }
}

fn join(client: &mut WebSocket<Tls>) {
    client.send(Message::text(r#"{"type":"join","room_id":"r"}"#)).unwrap();
    listen(client, &[r#""type":"joined""#]);
}

fn broadcast(content: &str) -> String {
    format!(r#"{{"type":"broadcast","room_id":"r","content":"{content}"}}"#)
}

/// Reads until the end; returns whether close_notify announced it.
fn read_to_end(stream: &mut Tls) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => (bytes, true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => (bytes, false),
        Err(error) => panic!("{error}"),
    }
}

const HEALTH: &[u8] = b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

#[test]
fn versions_and_application_protocols() {
    let certificate = Certificate::new();
    let server = certificate.serve(&[]);
    let http: &[u8] = b"http/1.1";
    for (version, known) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        for (offered, chosen) in [(&[][..], None), (&[http], Some(http)), (&[b"h2", http], Some(http))] {
            let client = certificate.client(&[version], offered);
            let mut stream = StreamOwned::new(client, tcp(server.tls.unwrap()));
            stream.write_all(HEALTH).unwrap();
            let (answer, said) = read_to_end(&mut stream);
            assert_eq!(status(&String::from_utf8(answer).unwrap()), 200);
            assert!(said, "the end is said");
            assert_eq!((stream.conn.protocol_version(), stream.conn.alpn_protocol()), (Some(known), chosen));
        }
        let mut stream = StreamOwned::new(certificate.client(&[version], &[b"h2"]), tcp(server.tls.unwrap()));
        let error = stream.write_all(HEALTH).unwrap_err();
        assert!(error.to_string().contains("NoApplicationProtocol"), "{error}");
    }
    let (_, metrics) = get(server.admin.unwrap(), "/metrics");
    for (outcome, count) in [("done", 6), ("failed", 2), ("plain_http", 0)] {
        let line = format!("salon_tls_handshakes_total{{outcome=\"{outcome}\"}} {count}\n");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }
}

#[test]
fn with_tls_and_without_they_hear_each_other_in_order() {
    let certificate = Certificate::new();
    let server = certificate.serve(&["--rate", "off"]);
    let mut plain = server.connect("/ws?user=plain");
    say(&mut plain, r#"{"type":"join","room_id":"r"}"#);
    hear_with(&mut plain, &[r#""type":"joined""#]);
    let mut tls: Vec<_> = (0..5).map(|n| certificate.connect(&server, &format!("/ws?user=t{n}"))).collect();
    tls.iter_mut().for_each(join);
    for round in 0..50 {
        say(&mut plain, &broadcast(&format!("plain {round}")));
        for (n, member) in tls.iter_mut().enumerate() {
            member.send(Message::text(broadcast(&format!("{n} {round}")))).unwrap();
        }
    }
    let heard: Vec<String> = (1..=300).map(|seq| hear_with(&mut plain, &[&format!(r#""seq":{seq},"#)])).collect();
    for member in &mut tls {
        for text in &heard {
            assert_eq!(&listen(member, &[r#""type":"broadcast""#]), text);
        }
        member.close(None).unwrap();
        let mut closed = false;
        while let Ok(message) = member.read() {
            closed |= message.is_close();
        }
        assert!(closed);
        assert_eq!(read_to_end(member.get_mut()), (Vec::new(), true), "close_notify comes before the end");
    }
}

#[test]
fn big_messages_both_ways() {
    let certificate = Certificate::new();
    let server = certificate.serve(&["--message-bytes", "4MiB", "--content-bytes", "2MiB", "--outbox-bytes", "64MiB"]);
    let mut speaker = certificate.connect(&server, "/ws?user=speaker");
    let mut hearer = certificate.connect(&server, "/ws?user=hearer");
    join(&mut speaker);
    join(&mut hearer);
    for size in [16_000, 16_384, 16_385, 100_000, 2 << 20] {
        let content: String = (0..size).map(|at| char::from(b'a' + (at % 23) as u8)).collect();
        let message = broadcast(&content);
        // The answer comes while the rest is still being written: both directions are full at once.
        speaker.send(Message::text(message)).unwrap();
        for client in [&mut speaker, &mut hearer] {
            assert!(listen(client, &[r#""type":"broadcast""#]).contains(&content), "{size}");
        }
    }
}

#[test]
fn plain_http_to_the_tls_port_is_answered() {
    let certificate = Certificate::new();
    let server = certificate.serve(&["--head-within", "1s"]);
    let answer = |bytes: &[u8]| {
        let mut stream = tcp(server.tls.unwrap());
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        answer
    };
    let told = String::from_utf8(answer(HEALTH)).unwrap();
    assert!(status(&told) == 400 && told.ends_with("this port speaks TLS: use https:// or wss:// here\"}\n"), "{told}");
    assert_eq!(answer(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00")[0], 21, "an alert");
    assert_eq!(answer(&[0x16, 3, 1, 0x3f, 0xff].repeat(8000)), b"");
    // A connection that never becomes a handshake is dropped.
    assert_eq!(answer(b"\x16"), b"");
    assert_eq!(answer(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc"), b"");
    assert_eq!(answer(b""), b"");
    let (_, metrics) = get(server.admin.unwrap(), "/metrics");
    assert!(metrics.contains("salon_cut_off_total{reason=\"no_request\"} 3\n"), "{metrics}");
    assert!(metrics.contains("salon_tls_handshakes_total{outcome=\"plain_http\"} 1\n"), "{metrics}");
    assert!(metrics.contains("salon_tls_handshakes_total{outcome=\"failed\"} 2\n"), "{metrics}");
    assert!(!get(server.public, "/health").1.is_empty());
}

#[test]
fn a_handshake_may_come_one_byte_at_a_time() {
    let certificate = Certificate::new();
    let server = certificate.serve(&[]);
    for version in [&TLS12, &TLS13] {
        let mut client = certificate.client(&[version], &[]);
        let mut stream = tcp(server.tls.unwrap());
        stream.set_nodelay(true).unwrap();
        client.writer().write_all(HEALTH).unwrap();
        let mut answer = Vec::new();
        loop {
            while client.wants_write() {
                let mut bytes = Vec::new();
                client.write_tls(&mut bytes).unwrap();
                bytes.iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
            }
            let len = client.read_tls(&mut stream).unwrap();
            client.process_new_packets().unwrap();
            let ended = client.reader().read_to_end(&mut answer).is_ok();
            if len == 0 || ended {
                break;
            }
        }
        assert_eq!(status(&String::from_utf8(answer).unwrap()), 200);
    }
}

#[test]
fn a_client_that_is_cut_off_leaves_and_one_that_does_not_read_is_closed() {
    let certificate = Certificate::new();
    let server = certificate.serve(&[
        "--rate",
        "off",
        "--outbox-bytes",
        "64KiB",
        "--leave-grace",
        "1s",
        "--blocked-within",
        "1s",
    ]);
    let mut speaker = certificate.connect(&server, "/ws?user=speaker");
    join(&mut speaker);
    // Without close_notify, and without Close.
    let mut gone = certificate.connect(&server, "/ws?user=gone");
    join(&mut gone);
    gone.get_ref().sock.shutdown(std::net::Shutdown::Both).unwrap();
    listen(&mut speaker, &[r#""type":"user_left""#, r#""user_id":"gone""#]);
    // A broken record on an open connection.
    let mut broken = certificate.connect(&server, "/ws?user=broken");
    join(&mut broken);
    broken.get_mut().sock.write_all(b"\x17\x03\x03\x00\x20................................").unwrap();
    listen(&mut speaker, &[r#""type":"user_left""#, r#""user_id":"broken""#]);

    let mut slow = certificate.connect(&server, "/ws?user=slow");
    join(&mut slow);
    let long = "x".repeat(16_000);
    loop {
        speaker.send(Message::text(broadcast(&long))).unwrap();
        listen(&mut speaker, &[r#""type":"broadcast""#]);
        if get(server.admin.unwrap(), "/metrics").1.contains("salon_closes_total{code=\"1013\"} 1\n") {
            break;
        }
    }
    let mut last = 0;
    let code = loop {
        match slow.read().expect("whole frames, and a Close behind them") {
            Message::Close(frame) => break u16::from(frame.unwrap().code),
            Message::Text(text) if text.contains("broadcast") => last += 1,
            _ => {}
        }
    };
    assert!(code == 1013 && last > 0, "{code} {last}");
    assert!(slow.read().is_err());
}

#[test]
fn a_certificate_can_be_renewed_under_live_connections() {
    let mut certificate = Certificate::new();
    let server = certificate.serve(&["--log", "info"]);
    let mut before = certificate.connect(&server, "/ws?user=before");
    join(&mut before);
    // A client that trusts this certificate alone is served with it, or not at all.
    let serves = |certificate: &Certificate| {
        let mut stream = certificate.stream(server.tls.unwrap());
        stream.write_all(HEALTH).is_ok() && status(&String::from_utf8(read_to_end(&mut stream).0).unwrap()) == 200
    };
    assert!(serves(&certificate));

    fs::write(certificate.chain(), "not a certificate").unwrap();
    server.signal("HUP");
    let line = server.logged("the settings stay as they were: --tls-cert");
    assert!(line.ends_with("cert.pem: expected a certificate in PEM, found none"), "{line}");
    assert!(serves(&certificate));

    certificate.renew();
    assert!(!serves(&certificate), "not before it is said");
    server.signal("HUP");
    server.logged("settings read again");
    assert!(serves(&certificate));
    let mut after = certificate.connect(&server, "/ws?user=after");
    join(&mut after);
    before.send(Message::text(broadcast("still here"))).unwrap();
    listen(&mut after, &["still here"]);

    let other = Certificate::new();
    fs::copy(other.key(), certificate.key()).unwrap();
    server.signal("HUP");
    server.logged("key.pem: the key is not that of the certificate");
    assert!(serves(&certificate));
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_that_it_asks_for() {
    let [mut first, mut second, mut third] = [Certificate::new(), Certificate::new(), Certificate::new()];
    first.renew_for(&["localhost", "127.0.0.1"]);
    second.renew_for(&["chat.example", "*.rooms.example"]);
    third.renew_for(&["den.rooms.example", "chat.example"]);
    let all = [&first, &second, &third];
    let files = all.map(|one| (one.chain(), one.key()));
    let of = |option: &str, file: &PathBuf| [option.to_owned(), file.to_str().unwrap().to_owned()];
    let options: Vec<String> = files
        .iter()
        .flat_map(|(chain, key)| [of("--tls-cert", chain), of("--tls-key", key)].concat())
        .chain(["--tls-listen".into(), "127.0.0.1:0".into()])
        .collect();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();

    let server = Server::serve(&[&options[..], &["--log", "info"]].concat());
    server.logged("tls_cert: certificates 2 and 3 are both for chat.example; clients that ask for it are shown 2");
    for (name, shown) in [
        ("localhost", 0),
        ("127.0.0.1", 0),
        ("chat.example", 1),
        ("CHAT.example", 1),
        ("other.rooms.example", 1),
        ("den.rooms.example", 2),
    ] {
        for (at, one) in all.iter().enumerate() {
            assert_eq!(one.serves(&server, name), at == shown, "{name} {at}");
        }
    }
    let (_, metrics) = get(server.admin.unwrap(), "/metrics");
    for label in ["1\",name=\"localhost", "3\",name=\"den.rooms.example"] {
        let line =
            format!("salon_tls_certificate_expires_timestamp_seconds{{setting=\"tls_cert\",number=\"{label}\"}} ");
        assert!(metrics.contains(&line), "{line}{metrics}");
    }

    // What `check` says of them.
    let usual = ["check", "--listen", "off", "--admin", "off", "--max-connections", "10"];
    let output = salon(&[&usual, &options[..]].concat()).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    for line in [
        "warning  tls_cert: certificates 2 and 3 are both for chat.example",
        "ok       tls_cert 1 (localhost): the certificate is good for ",
        "for den.rooms.example, chat.example\n",
    ] {
        assert!(output.status.success() && shown.contains(line), "{line}: {shown}");
    }

    // A renewed one is told by name, and the others stay.
    second.renew_for(&["chat.example", "*.rooms.example"]);
    server.signal("HUP");
    let line = server.logged("settings read again; changed: ");
    assert!(line.contains("changed: the chain 2, the key of TLS 2, the certificate for chat.example, *.rooms.example, which is good until"), "{line}");
    assert!(second.serves(&server, "chat.example") && first.serves(&server, "localhost"));

    // Keys that are not in the order of certificates.
    let [first, second] = [&first, &second].map(|one| (one.chain(), one.key()));
    let wrong = |pairs: &[(&PathBuf, &PathBuf)], without: usize| {
        let chains = pairs.iter().flat_map(|(chain, _)| of("--tls-cert", chain));
        let keys = pairs.iter().skip(without).flat_map(|(_, key)| of("--tls-key", key));
        let options: Vec<String> = chains.chain(keys).collect();
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let output = salon(&[&["check"], &options[..]].concat()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, said) = wrong(&[(&first.0, &second.1), (&second.0, &first.1)], 0);
    let sentence = format!(
        "--tls-key {}: the key is not that of the certificate, but that of {}; name each at its place\n",
        second.1.display(),
        second.0.display()
    );
    assert!(status == Some(2) && said.ends_with(&sentence), "{said}");
    let (status, said) = wrong(&[(&first.0, &first.1), (&second.0, &second.1)], 1);
    let sentence = "--tls-cert: expected as many as of --tls-key, in the same order, found 2 and 1\n";
    assert!(status == Some(2) && said.ends_with(sentence), "{said}");
}

/// What a command says that asks the admin port there, and its status.
fn asked(words: &[&str], admin: &str, trusted: &Certificate) -> (Option<i32>, String) {
    let mut command = salon(&[words, &["--admin", admin]].concat());
    // What the machine trusts, as OpenSSL is told.
    let output = command.env("SSL_CERT_FILE", trusted.chain()).output().unwrap();
    (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

#[test]
fn the_admin_port_speaks_tls() {
    let (certificate, other) = (Certificate::new(), Certificate::new());
    let (chain, key) = (certificate.chain(), certificate.key());
    let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
    let server = Server::serve(&["--admin-tls-cert", chain, "--admin-tls-key", key, "--log", "info"]);
    let admin = server.admin.unwrap();
    let mut stream = certificate.stream(admin);
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n").unwrap();
    let metrics = String::from_utf8(read_to_end(&mut stream).0).unwrap();
    let label = "setting=\"admin_tls_cert\",number=\"1\",name=\"localhost\"";
    assert!(metrics.contains(&format!("_expires_timestamp_seconds{{{label}}} ")), "{metrics}");
    assert!(metrics.contains("salon_tls_handshakes_total{outcome=\"done\"} 1\n"), "{metrics}");

    let (named, by_name, by_address) =
        (["--admin-tls-cert", chain], format!("https://localhost:{}", admin.port()), format!("https://{admin}"));
    for (words, place, trusted, expected, said) in [
        // The file names it, whatever the server is called here.
        (&[&["health"], &named[..]].concat()[..], &*admin.to_string(), &other, 0, "ok\n"),
        (&[&["rooms"], &named[..]].concat(), &by_address, &other, 0, ""),
        (&[&["top", "--json"], &named[..]].concat(), &by_name, &other, 0, "{"),
        // The machine trusts it.
        (&["health"], &by_name, &certificate, 0, "ok\n"),
        (&["health"], &by_address, &certificate, 1, "shows a certificate that is not known here"),
        (&["health"], &by_name, &other, 1, "shows a certificate that is not known here"),
        (&["health"], &admin.to_string(), &certificate, 1, "this port speaks TLS: use https://"),
        (&["health", "--admin-tls-cert", key], &by_name, &other, 2, "expected certificates in PEM, found none"),
    ] {
        let (status, shown) = asked(words, place, trusted);
        assert!(status == Some(expected) && shown.contains(said), "{words:?} {place}: {status:?} {shown}");
    }

    // A setting without the other.
    let output = salon(&["check", "--admin-tls-cert", chain]).output().unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(shown.ends_with("--admin-tls-cert: expected --admin-tls-key beside it, found none\n"), "{shown}");
    let output = salon(&["check", "--admin-tls-cert", chain, "--admin-tls-key", key]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("ok       admin_tls_cert: the certificate is good for "), "{shown}");
}

/// A command that asks knows the server's file of settings, and the certificate in it may be newer than the one that
/// the server shows.
#[test]
fn a_reload_by_the_admin_port_takes_its_renewed_certificate() {
    let certificate = Certificate::new();
    let issuer_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let issuer_pem = params.self_signed(&issuer_key).unwrap().pem();
    let issuer = rcgen::Issuer::new(params, issuer_key);
    let renew = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(["chat.example".to_owned()]).unwrap().signed_by(&key, &issuer);
        fs::write(certificate.chain(), made.unwrap().pem() + &issuer_pem).unwrap();
        fs::write(certificate.key(), key.serialize_pem()).unwrap();
    };
    renew();
    let file = certificate.folder.join("salon.toml");
    let settings = format!("admin_tls_cert = {:?}\nadmin_tls_key = {:?}\n", certificate.chain(), certificate.key());
    fs::write(&file, settings).unwrap();
    let server = Server::serve(&["--config", file.to_str().unwrap(), "--log", "info"]);
    let admin = server.admin.unwrap().to_string();
    let reload = ["reload", "--config", file.to_str().unwrap()];
    let (status, shown) = asked(&reload, &admin, &certificate);
    assert!(status == Some(0) && shown.contains("changed: nothing"), "{shown}");
    renew();
    let (status, shown) = asked(&reload, &admin, &certificate);
    assert!(status == Some(0) && shown.contains("the certificate of admin_tls_cert, which is good"), "{shown}");
    assert_eq!(asked(&["health", "--config", file.to_str().unwrap()], &admin, &certificate), (Some(0), "ok\n".into()));
    // Another certificate by nobody that is known.
    let other = Certificate::new();
    fs::copy(other.chain(), certificate.chain()).unwrap();
    let (status, shown) = asked(&reload, &admin, &other);
    assert!(status == Some(1) && shown.contains("is not known here"), "{shown}");
}

/// A port speaks TLS from its start or never: what a file says otherwise is for the next start, and is not shown as if
/// it held.
#[test]
fn tls_begins_and_ends_at_a_start() {
    let certificate = Certificate::new();
    let file = certificate.folder.join("salon.toml");
    let pair = format!("tls_cert = {:?}\ntls_key = {:?}\n", certificate.chain(), certificate.key());
    for (before, then) in [(&*pair, ""), ("", &pair)] {
        fs::write(&file, before).unwrap();
        let listen: &[&str] = if before.is_empty() { &[] } else { &["--tls-listen", "127.0.0.1:0"] };
        let server = Server::serve(&[&["--config", file.to_str().unwrap()], listen].concat());
        let admin = server.admin.unwrap().to_string();
        fs::write(&file, then).unwrap();
        let (status, shown) = asked(&["reload", "--config", file.to_str().unwrap()], &admin, &certificate);
        let told = "changed: nothing\nonly at the next start: tls_cert, tls_key\n";
        assert!(status == Some(0) && shown.contains(told), "{status:?} {shown}");
        let (_, shown) = asked(&["config", "--running"], &admin, &certificate);
        let holds = shown.lines().any(|line| line.starts_with("tls_cert = [\""));
        assert_eq!(holds, !before.is_empty(), "{shown}");
    }
}

/// A connection that is one of too many costs no handshake: it ends, and is counted.
#[test]
fn too_many_new_connections_get_no_handshake() {
    let certificate = Certificate::new();
    let server = certificate.serve(&["--count-loopback", "--new-connections-per-address", "1"]);
    let mut dropped = 0;
    for _ in 0..20 {
        let mut stream = tcp(server.tls.unwrap());
        // No ClientHello: TLS answers with an alert.
        let _ = stream.write_all(&[0x55; 64]);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        dropped += usize::from(answer.is_empty());
    }
    assert!(dropped > 0);
    let (_, metrics) = get(server.admin.unwrap(), "/metrics");
    let counted = format!("salon_refused_total{{reason=\"too_fast\"}} {dropped}");
    let told = metrics.lines().find(|line| line.contains("too_fast"));
    assert_eq!(told, Some(&*counted));
}

/// At several addresses, one of them a Unix socket: each speaks TLS, and those that send there know the port.
#[test]
fn each_of_several_addresses_speaks_tls() {
    let certificate = Certificate::new();
    let socket = certificate.folder.join("tls.sock");
    let by_file = format!("unix:{}", socket.display());
    let more = ["--tls-listen", "127.0.0.2:0", "--tls-listen", &by_file, "--redirect-http", "127.0.0.1:0,127.0.0.2:0"];
    let server = certificate.serve(&[&["--listen", "off"], &more[..]].concat());
    let pages = server.greeting.lines().filter_map(|line| line.split_once("https://")).map(|(_, at)| at);
    let pages: Vec<SocketAddr> = pages.filter_map(|at| at.trim_end_matches('/').parse().ok()).collect();
    assert_eq!(pages.len(), 2, "{}", server.greeting);
    for address in &pages {
        let mut stream = certificate.stream(*address);
        stream.write_all(HEALTH).unwrap();
        assert_eq!(status(&String::from_utf8(read_to_end(&mut stream).0).unwrap()), 200, "{address}");
    }
    let unix = std::os::unix::net::UnixStream::connect(&socket).unwrap();
    unix.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = StreamOwned::new(certificate.client(&[&TLS13], &[]), unix);
    stream.write_all(HEALTH).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(status(&answer), 200);
    let redirects: Vec<&str> = server.greeting.lines().filter(|line| line.contains("sends to https")).collect();
    let port = format!("at port {}", pages[0].port());
    assert!(redirects.len() == 2 && redirects.iter().all(|line| line.ends_with(&port)), "{}", server.greeting);
}

/// Where the plain listener is that sends to TLS.
fn redirect_of(server: &Server) -> SocketAddr {
    let line = server.greeting.lines().find_map(|line| line.trim().strip_prefix("redirect ")).expect("it is said");
    line.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn a_client_without_tls_is_sent_to_it() {
    let certificate = Certificate::new();
    let server = certificate.serve(&["--listen", "off", "--redirect-http", "127.0.0.1:0"]);
    let (address, port) = (redirect_of(&server), server.tls.unwrap().port());
    for (request, status_line, location) in [
        ("GET /a?b=c HTTP/1.1\r\nHost: chat.example:80\r\n", 308, Some(format!("https://chat.example:{port}/a?b=c"))),
        ("POST /ws HTTP/1.1\r\nHost: [::1]\r\nContent-Length: 0\r\n", 308, Some(format!("https://[::1]:{port}/ws"))),
        ("HEAD / HTTP/1.1\r\nHost: x\r\n", 308, Some(format!("https://x:{port}/"))),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n", 308, Some(format!("https://x:{port}/"))),
        ("GET /health HTTP/1.0\r\n", 400, None),
        ("GET / HTTP/1.1\r\nHost: a;b\r\n", 400, None),
        ("GET / HTTP/1.1\r\n", 400, None),
        ("GET /\u{e9} HTTP/1.1\r\nHost: x\r\n", 400, None),
        ("GET / HTTP/1.1\r\nHost: x\r\nX: a\nLocation: y\r\n", 400, None),
        (
            "GET /ws?user=a HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n",
            308,
            Some(format!("https://x:{port}/ws?user=a")),
        ),
    ] {
        // The connection ends behind each answer.
        let answer = String::from_utf8(exchange(address, format!("{request}\r\n").as_bytes())).unwrap();
        assert_eq!(status(&answer), status_line, "{request} {answer}");
        let said: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("Location: ")).collect();
        assert_eq!(said, location.as_slice(), "{request} {answer}");
        assert!(answer.contains("\r\nConnection: close\r\n") && !answer.contains("Strict-Transport"), "{answer}");
    }
    // Another port, and the usual one, which is not said.
    for (port, said) in [("9443", "Location: https://x:9443/\r\n"), ("443", "Location: https://x/\r\n")] {
        let server = certificate.serve(&["--redirect-http", "127.0.0.1:0", "--https-port", port]);
        let answer = exchange(redirect_of(&server), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(String::from_utf8(answer).unwrap().contains(said), "{port}");
    }
    for (option, value) in [("--redirect-http", "127.0.0.1:0"), ("--https-port", "443"), ("--hsts", "1d")] {
        let output = salon(&["check", option, value]).output().unwrap();
        let shown = String::from_utf8(output.stderr).unwrap();
        let sentence = format!("{option}: expected --tls-cert and --tls-key beside it, found none\n");
        assert!(output.status.code() == Some(2) && shown.ends_with(&sentence), "{shown}");
    }
}

/// A certificate authority that looks whose name this is has its answer at each public address, and none at the
/// operator's.
#[test]
fn a_certificate_authority_is_answered() {
    let certificate = Certificate::new();
    let thumbprint = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI";
    let server = certificate.serve(&["--redirect-http", "127.0.0.1:0", "--acme-thumbprint", thumbprint]);
    let ask = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n");
    let challenge = ask("/.well-known/acme-challenge/a-b_C");
    let mut secure = certificate.stream(server.tls.unwrap());
    secure.write_all(challenge.as_bytes()).unwrap();
    let by_tls = read_to_end(&mut secure).0;
    let [public, redirect] = [server.public, redirect_of(&server)];
    for answer in [by_tls, exchange(public, challenge.as_bytes()), exchange(redirect, challenge.as_bytes())] {
        let answer = String::from_utf8(answer).unwrap();
        assert!(status(&answer) == 200 && answer.ends_with(&format!("\r\n\r\na-b_C.{thumbprint}")), "{answer}");
    }
    for (address, path, expected) in [
        (public, "/.well-known/acme-challenge/a.b", 404),
        (redirect, "/.well-known/acme-challenge/a.b", 308),
        (server.admin.unwrap(), "/.well-known/acme-challenge/a-b_C", 403),
    ] {
        let answer = String::from_utf8_lossy(&exchange(address, ask(path).as_bytes())).into_owned();
        assert_eq!(status(&answer), expected, "{path} {answer}");
    }
    let output = salon(&["check", "--acme-thumbprint", "9jg46WB3rR"]).output().unwrap();
    let shown = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && shown.contains("as the ACME client shows it"), "{shown}");
}

/// The limits of an address and of all hold there too.
#[test]
fn the_port_that_sends_to_tls_is_bounded() {
    let certificate = Certificate::new();
    let limits = ["--count-loopback", "--max-connections-per-address", "1"];
    let server = certificate.serve(&[&limits[..], &["--redirect-http", "127.0.0.1:0"]].concat());
    let held = tcp(redirect_of(&server));
    let answer = exchange(redirect_of(&server), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_eq!(status(&String::from_utf8(answer).unwrap()), 503);
    drop(held);
}

#[test]
fn browsers_are_told_to_come_by_tls_alone() {
    let certificate = Certificate::new();
    let server = certificate.serve(&["--hsts", "365d"]);
    let header = "\r\nStrict-Transport-Security: max-age=31536000\r\n";
    for (target, status_line) in [("/", 200), ("/nothing", 404), ("/health", 200)] {
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let mut stream = certificate.stream(server.tls.unwrap());
        stream.write_all(request.as_bytes()).unwrap();
        let answer = String::from_utf8_lossy(&read_to_end(&mut stream).0).into_owned();
        assert!(status(&answer) == status_line && answer.contains(header), "{target} {answer}");
        // Without TLS it means nothing (RFC 6797 section 8.1), and anybody could have written it.
        let answer = String::from_utf8_lossy(&exchange(server.public, request.as_bytes())).into_owned();
        assert!(status(&answer) == status_line && !answer.contains("Strict-Transport"), "{target} {answer}");
    }
    assert!(!get(server.admin.unwrap(), "/metrics").1.contains("Strict-Transport"));
}

#[test]
fn a_certificate_is_looked_at_before_serving() {
    let certificate = Certificate::new();
    let check = |chain: &PathBuf| {
        let (chain, key) = (chain.to_str().unwrap(), certificate.key());
        let key = key.to_str().unwrap();
        let ports =
            ["check", "--listen", "off", "--admin", "off", "--tls-listen", "127.0.0.1:0", "--max-connections", "10"];
        let output = salon(&[&ports[..], &["--tls-cert", chain, "--tls-key", key]].concat()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    let (status, shown) = check(&certificate.chain());
    assert!(status == 0 && shown.contains("ok       tls_cert: the certificate is good for "), "{shown}");
    assert!(shown.contains("ok       tls_listen: 127.0.0.1:0 is free"), "{shown}");

    for (begins, ends, expected, word) in [
        (-30, -3, 1, "error    tls_cert: the certificate ended 2 days ago; "),
        (2, 30, 1, "error    tls_cert: the certificate begins in 2 days; "),
        (-30, 10, 0, "warning  tls_cert: the certificate ends in 10 days; "),
        (-30, 40, 0, "ok       tls_cert: the certificate is good for 40 days, "),
    ] {
        certificate.date(begins, ends);
        let (status, shown) = check(&certificate.chain());
        assert!(status == expected && shown.contains(word), "{word}: {shown}");
    }

    let (status, shown) = check(&certificate.key());
    assert!(status == 2 && shown.contains("key.pem: expected a certificate in PEM, found none"), "{shown}");
}

/// A budget that has room for so many connections, and not for so many with TLS.
#[test]
fn what_tls_takes_is_a_part_of_the_sizing() {
    let certificate = Certificate::new();
    let (chain, key) = (certificate.chain(), certificate.key());
    let tls = ["--listen", "off", "--tls-listen", "127.0.0.1:0", "--tls-cert", chain.to_str().unwrap(), "--tls-key"];
    for (ports, status, said) in [
        (vec!["--listen", "127.0.0.1:0"], 0, "ok       memory: "),
        (
            [&tls[..], &[key.to_str().unwrap()]].concat(),
            1,
            "error    memory: a budget of 16 MiB has no room for 7 MiB ",
        ),
    ] {
        let usual = ["check", "--admin", "off", "--memory", "16MiB", "--max-connections", "1000"];
        let output = salon(&[&usual, &ports[..]].concat()).output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.code() == Some(status) && shown.contains(said), "{shown}");
    }
}

#[test]
fn a_certificate_whose_time_is_wrong_is_told_at_the_start_and_at_sighup() {
    let certificate = Certificate::new();
    certificate.date(-30, -3);
    let server = certificate.serve(&["--log", "info"]);
    let line = server.logged("tls_cert: the certificate ended 2 days ago; ");
    assert!(line.contains("WARN") && line.ends_with("get a new one and send SIGHUP"), "{line}");
    for (begins, ends, said) in [
        (2, 30, Some("tls_cert: the certificate begins in 2 days; ")),
        (-30, 10, Some("tls_cert: the certificate ends in 10 days; renew it and send SIGHUP")),
        (-30, 40, None),
    ] {
        certificate.date(begins, ends);
        server.signal("HUP");
        server.logged("settings read again");
        match said {
            Some(said) => assert!(server.logged(said).contains("WARN")),
            // The log line of the next reading comes behind it: this reading had none.
            None => {
                server.signal("HUP");
                loop {
                    let line = server.logged("");
                    assert!(!line.contains("tls_cert"), "{line}");
                    if line.contains("settings read again") {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn behind_a_proxy_that_passes_tls_on() {
    let certificate = Certificate::new();
    let server = certificate.serve(&[
        "--proxy-protocol",
        "tls-listen",
        "--trusted-proxy",
        "127.0.0.1",
        "--max-connections-per-address",
        "1",
    ]);
    let come = |last: u8| {
        let mut stream = certificate.stream(server.tls.unwrap());
        let header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02";
        stream.sock.write_all(&[&header[..], &[last, 127, 0, 0, 1, 1, 2, 3, 4]].concat()).unwrap();
        certificate.connect_by(stream, "/ws?user=a")
    };
    let (mut first, mut second, mut third) = (come(1), come(1), come(2));
    listen(&mut first, &[r#""type":"welcome""#]);
    listen(&mut second, &[r#""type":"goodbye""#]);
    listen(&mut third, &[r#""type":"welcome""#]);
    // The other listener is not spoken to like that.
    assert_eq!(get(server.public, "/health").0, 200);
}

#[test]
fn memory_of_tls_is_counted_and_freed() {
    let certificate = Certificate::new();
    let server = certificate.serve(&[]);
    let until = |what: &str, is_so: &dyn Fn(u64) -> bool| {
        let end = Instant::now() + PATIENCE;
        loop {
            let (_, metrics) = get(server.admin.unwrap(), "/metrics");
            let value = metrics.lines().find_map(|line| line.strip_prefix("salon_memory_bytes{purpose=\"tls\"} "));
            let held = value.expect("it is told").parse().unwrap();
            if is_so(held) {
                return;
            }
            assert!(Instant::now() < end, "never {what}: {held}");
        }
    };
    until("nothing at first", &|held| held == 0);
    let mut clients: Vec<_> = (0..3).map(|n| certificate.connect(&server, &format!("/ws?user=t{n}"))).collect();
    until("three idle ones", &|held| (3 * 7000..3 * 9000).contains(&held));
    // A part of a record, as long as one may be.
    let part = [&[0x17, 3, 3, 0x40, 0][..], &[0; 10_000]].concat();
    clients[0].get_mut().sock.write_all(&part).unwrap();
    until("and a part of a record", &|held| held >= 3 * 7000 + 10_000 - 4096);
    clients.clear();
    until("nothing in the end", &|held| held == 0);
}

#[test]
fn tls_alone_is_enough() {
    let certificate = Certificate::new();
    let server = certificate.serve(&["--listen", "off", "--admin", "off"]);
    assert_eq!(server.public, server.tls.unwrap());
    let mut stream = certificate.stream(server.public);
    // Half closed: close_notify comes before the answer has gone.
    stream.write_all(HEALTH).unwrap();
    stream.conn.send_close_notify();
    stream.flush().unwrap();
    let (answer, said) = read_to_end(&mut stream);
    assert!(status(&String::from_utf8(answer).unwrap()) == 200 && said);
    let mut stopped = certificate.connect(&server, "/ws?user=a");
    join(&mut stopped);
    server.signal("TERM");
    let mut close = None;
    while let Ok(message) = stopped.read() {
        if let Message::Close(frame) = message {
            close = frame.map(|frame| u16::from(frame.code));
        }
    }
    assert!(close.is_some(), "told before the end");
}
