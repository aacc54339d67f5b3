//! How Salon starts and stops, as clients, probes and a supervisor see it.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::common::{
    PATIENCE, Server, apart, close_code, exchange, free_address, get, hear_with, joined, read, say, status, tcp,
};
use tungstenite::Message;

const UPGRADE: &str = "Host: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// An upgraded connection that answers no Close, so that a stop waits for it.
fn stubborn(server: SocketAddr) -> TcpStream {
    let mut stream = tcp(server);
    stream.write_all(format!("GET /ws?user=stubborn HTTP/1.1\r\n{UPGRADE}").as_bytes()).unwrap();
    let mut bytes = [0; 12];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(bytes, *b"HTTP/1.1 101");
    stream
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args(["-s", name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn a_stop_drains() {
    let mut server = Server::serve(&["--stop-within", "3650d"]);
    let admin = server.admin.unwrap();
    assert_eq!(get(admin, "/readyz").0, 200);
    let mut alice = server.connect("/ws?user=alice");
    let mut bob = server.connect("/ws/room?username=bob");
    let stubborn = stubborn(server.public);
    server.signal("TERM");
    // Clients that are inside hear when to come back, and are closed.
    let texts: Vec<String> = std::iter::from_fn(|| match read(&mut alice) {
        Ok(Message::Text(text)) => Some(text.to_string()),
        Ok(Message::Close(Some(frame))) => {
            assert_eq!(u16::from(frame.code), 1012);
            None
        }
        other => panic!("{other:?}"),
    })
    .collect();
    let goodbye = texts.last().unwrap();
    assert!(goodbye.starts_with(r#"{"type":"goodbye","reason":"shutdown","reconnect":true,"after_ms":"#), "{goodbye}");
    assert_eq!(close_code(&mut bob), 1012);
    // Probes and new clients are answered meanwhile.
    assert_eq!(get(admin, "/readyz").0, 503);
    assert_eq!(get(admin, "/livez").0, 200);
    for (path, code) in [("/livez", 200), ("/readyz", 503)] {
        let asked = format!("OPTIONS {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        assert_eq!(status(&String::from_utf8(exchange(admin, asked.as_bytes())).unwrap()), code, "{path}");
    }
    let answer =
        String::from_utf8(exchange(server.public, format!("GET /ws HTTP/1.1\r\n{UPGRADE}").as_bytes())).unwrap();
    assert!(status(&answer) == 503 && answer.contains("\r\nRetry-After: 1\r\n"), "{answer}");
    // When the last has gone, it ends.
    drop((alice, bob, stubborn));
    assert_eq!(server.wait().code(), Some(0));
}

/// With `stop_after` only balancers notice at first.
#[test]
fn before_a_stop_balancers_hear_of_it_and_everything_goes_on() {
    let mut server = Server::serve(&["--stop-after", "3650d", "--stop-within", "3650d"]);
    let admin = server.admin.unwrap();
    let mut alice = joined(&server, "alice", "den");
    assert_eq!(get(server.public, "/readyz").0, 200);
    server.signal("TERM");
    while get(admin, "/readyz").0 != 503 {}
    let options = exchange(server.public, b"OPTIONS / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(status(&String::from_utf8(options).unwrap()), 503);
    assert_eq!((get(admin, "/livez").0, get(server.public, "/health").0), (200, 200));
    // A balancer that reaches the public port alone hears of it too, and keeps no connection till the end.
    let (status_there, answer) = get(server.public, "/readyz");
    assert!(status_there == 503 && answer.ends_with("\r\n\r\nstopping\n"), "{answer}");
    let kept = exchange(server.public, b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(String::from_utf8(kept).unwrap().contains("\r\nConnection: close\r\n"));
    // Clients come, and talk.
    let mut bob = joined(&server, "bob", "den");
    say(&mut bob, r#"{"type":"broadcast","room_id":"den","content":"still here"}"#);
    hear_with(&mut alice, &["still here"]);
    // Another signal begins the stop.
    server.signal("TERM");
    assert_eq!((close_code(&mut alice), close_code(&mut bob)), (1012, 1012));
    drop((alice, bob));
    assert_eq!(server.wait().code(), Some(0));
    // It ends by itself.
    let mut server = Server::serve(&["--stop-after", "1s"]);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_stop_has_an_end_and_a_second_signal_is_one() {
    let mut server = Server::serve(&["--stop-within", "1s"]);
    let _stubborn = stubborn(server.public);
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));

    let mut server = Server::serve(&["--stop-within", "3650d"]);
    let admin = server.admin.unwrap();
    let _stubborn = stubborn(server.public);
    server.signal("TERM");
    // Two signals at once would be one. A client that came just before the first is not answered.
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    while !exchange(admin, request.as_bytes()).starts_with(b"HTTP/1.1 503") {}
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0));
}

/// Other servers act on some of these, so habit and scripts send them; Salon goes on.
#[test]
fn other_signals_do_no_harm() {
    let mut server = Server::serve(&["--log", "info"]);
    let mut alice = server.connect("/ws?user=alice");
    for name in ["USR1", "USR2", "QUIT", "ALRM", "VTALRM", "PROF", "IO", "XCPU", "XFSZ", "PIPE", "WINCH", "CHLD"] {
        server.signal(name);
        if !["PIPE", "WINCH", "CHLD"].contains(&name) {
            server.logged(&format!("SIG{name} has no effect"));
        }
        assert_eq!(get(server.admin.unwrap(), "/readyz").0, 200, "{name}");
    }
    // SIGSTKFLT, and the first and the last for real time.
    for number in ["16", "36", "64"] {
        server.signal(number);
        server.logged(&format!("signal {number} has no effect"));
    }
    // By this one a container is asked to stop.
    server.signal("PWR");
    assert_eq!(close_code(&mut alice), 1012);
    drop(alice);
    assert_eq!(server.wait().code(), Some(0));
}

/// `salon` started as systemd starts it, with sockets handed over as descriptors from 3 on.
fn activated(public: &TcpListener, variables: &[(&str, &str)]) -> Child {
    // The shell moves the socket to its place and knows its own process id, which is Salon's after `exec`.
    let script = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" serve --admin off --log warn";
    let socket = std::os::fd::OwnedFd::from(public.try_clone().unwrap());
    apart(&mut Command::new("sh"))
        .args(["-c", script, env!("CARGO_BIN_EXE_salon")])
        .env_remove("LISTEN_FDNAMES")
        .envs(variables.iter().copied())
        .stdin(Stdio::from(socket))
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn with_a_socket_of_systemd_no_connection_is_refused_across_restarts() {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (done, served) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                // Nobody is refused, also while no Salon runs at all; and each client is answered by one of them.
                let mut stream = TcpStream::connect(address).expect("the socket listens all the time");
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                stream.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
                let mut answer = String::new();
                match stream.read_to_string(&mut answer) {
                    Ok(_) if answer.starts_with("HTTP/1.1 200") => {
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                    // Accepted by a Salon that ended before it had read the request.
                    Ok(_) => assert_eq!(answer, ""),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
                }
            }
        });
        for _ in 0..5 {
            let mut salon = activated(&socket, &[]);
            let before = served.load(Ordering::SeqCst);
            while served.load(Ordering::SeqCst) < before + 20 {
                std::thread::yield_now();
            }
            signal(&salon, "TERM");
            assert_eq!(salon.wait().unwrap().code(), Some(0));
        }
        done.store(true, Ordering::SeqCst);
        // The last connection may wait in the backlog, for one more Salon.
        let mut salon = activated(&socket, &[]);
        assert_eq!(get(address, "/health").0, 200);
        signal(&salon, "TERM");
        salon.wait().unwrap();
    });
}

#[test]
fn a_supervisor_is_told() {
    let path = std::env::temp_dir().join(format!("salon-stopping-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    check_supervisor(UnixDatagram::bind(&path).unwrap(), path.to_str().unwrap());
    let _ = std::fs::remove_file(&path);
}

/// `NOTIFY_SOCKET=@NAME`: in no file system, as some supervisors and containers have it.
#[cfg(target_os = "linux")]
#[test]
fn a_supervisor_with_an_abstract_socket_is_told() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    let name = format!("salon-stopping-abstract-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    check_supervisor(UnixDatagram::bind_addr(&address).unwrap(), &format!("@{name}"));
}

fn check_supervisor(supervisor: UnixDatagram, name: &str) {
    supervisor.set_read_timeout(Some(PATIENCE)).unwrap();
    let hear = || {
        let mut bytes = [0; 256];
        let len = supervisor.recv(&mut bytes).expect("a word in time");
        String::from_utf8_lossy(&bytes[..len]).trim().to_owned()
    };
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let variables = [
        ("NOTIFY_SOCKET", name),
        ("WATCHDOG_USEC", "100000"),
        ("SALON_STOP_AFTER", "1h"),
        ("SALON_STOP_WITHIN", "20s"),
    ];
    let mut salon = activated(&socket, &variables);
    assert_eq!(hear(), "READY=1");
    assert_eq!([hear(), hear(), hear()], ["WATCHDOG=1"; 3]);
    // Systemd is told of a reading of the settings too.
    signal(&salon, "HUP");
    let other = || std::iter::repeat_with(hear).find(|word| word != "WATCHDOG=1").unwrap();
    assert!(other().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(other(), "READY=1\nSTATUS=the settings have been read again");
    signal(&salon, "TERM");
    let last = std::iter::repeat_with(hear).find(|word| word != "WATCHDOG=1");
    // And for how long it must not kill it, whatever the unit says.
    assert_eq!(last.as_deref(), Some("STOPPING=1\nEXTEND_TIMEOUT_USEC=3630000000"));
    signal(&salon, "TERM");
    assert_eq!(salon.wait().unwrap().code(), Some(0));
}

/// Runs `salon serve` with these sockets as descriptors from 3 on, of these names, until it ends; what it says, or the
/// child if it serves.
fn with_sockets(sockets: Vec<std::os::fd::OwnedFd>, names: &str, arguments: &[&str]) -> (Child, String) {
    let count = sockets.len();
    let mut given = sockets.into_iter();
    let mut next = || given.next().map_or_else(Stdio::null, Stdio::from);
    let log = std::env::temp_dir().join(format!("salon-sockets-{}-{names}-{count}", std::process::id()));
    // The shell moves the sockets to their places and knows its own process id, which is Salon's after `exec`.
    let script = "exec 3<&0 4<&1 5<&2 </dev/null >/dev/null 2>\"$LOG\"; LISTEN_PID=$$ exec \"$0\" serve \"$@\"";
    let mut salon = apart(&mut Command::new("sh"))
        .args(["-c", script, env!("CARGO_BIN_EXE_salon"), "--log", "warn", "--stop-within", "3650d"])
        .args(arguments)
        .env("LOG", &log)
        .env("LISTEN_FDS", count.to_string())
        .env("LISTEN_FDNAMES", names)
        .stdin(next())
        .stdout(next())
        .stderr(next())
        .spawn()
        .unwrap();
    loop {
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let ended = salon.try_wait().unwrap().is_some();
        if said.contains("Ctrl-C") || ended {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let _ = std::fs::remove_file(&log);
            return (salon, said);
        }
        std::thread::yield_now();
    }
}

/// Several sockets of a kind, and Unix sockets of both kinds, are served, and each follows its name.
#[test]
fn systemd_hands_over_several_sockets_of_a_kind_and_unix_sockets() {
    let folder = std::env::temp_dir().join(format!("salon-handed-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let tcp = || TcpListener::bind("127.0.0.1:0").unwrap();
    let ask = |mut stream: UnixStream, target: &str| {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        status(&answer)
    };
    let (one, other) = (tcp(), tcp());
    let addresses = [one.local_addr().unwrap(), other.local_addr().unwrap()];
    let path = folder.join("public.sock");
    let unix = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let (mut salon, said) =
        with_sockets(vec![one.into(), other.into(), unix.into()], "a.socket::b", &["--admin", "off"]);
    for address in addresses {
        assert!(said.contains(&format!("http://{address}/")), "{said}");
        assert_eq!(get(address, "/health").0, 200);
    }
    assert!(said.contains(&format!("  for proxy  unix:{}\n", path.display())), "{said}");
    assert_eq!(ask(UnixStream::connect(&path).unwrap(), "/health"), 200);
    signal(&salon, "TERM");
    assert_eq!(salon.wait().unwrap().code(), Some(0));
    assert!(path.exists(), "the file belongs to systemd");

    let (public, admin) = (tcp(), folder.join("admin.sock"));
    let unix = std::os::unix::net::UnixListener::bind(&admin).unwrap();
    let address = public.local_addr().unwrap();
    let (mut salon, said) = with_sockets(vec![public.into(), unix.into()], ":admin", &[]);
    assert!(said.contains(&format!("  admin      unix:{}  /health", admin.display())), "{said}");
    assert_eq!(ask(UnixStream::connect(&admin).unwrap(), "/metrics"), 200);
    assert_eq!((get(address, "/health").0, get(address, "/metrics").0), (200, 404));
    signal(&salon, "TERM");
    assert_eq!(salon.wait().unwrap().code(), Some(0));

    // Not these.
    let pair = || UnixStream::pair().unwrap().0.into();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for (socket, name, sentence) in [
        (
            pair(),
            "web",
            "salon: the socket web of systemd: expected a socket that listens, found a connection; say Accept=no in its unit\n",
        ),
        (
            pair(),
            "",
            "salon: a socket of systemd that has no name: expected a socket that listens, found a connection; say Accept=no in its unit\n",
        ),
        (
            udp.into(),
            "dns",
            "salon: the socket dns of systemd: expected a stream socket of TCP or in the file system, found something else\n",
        ),
    ] {
        let (mut salon, said) = with_sockets(vec![socket], name, &["--admin", "off"]);
        assert_eq!((salon.wait().unwrap().code(), &*said), (Some(2), sentence));
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Which of the listeners are handed over: public, TLS, admin. In each case a probe can ask whether Salon stops.
#[test]
fn a_stop_is_told_whichever_listeners_are_handed_over() {
    let folder = std::env::temp_dir().join(format!("salon-listeners-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    for mix in 0..8 {
        let handed = [mix & 1 > 0, mix & 2 > 0, mix & 4 > 0];
        let sockets: [TcpListener; 3] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let [public, tls, admin] = [0, 1, 2].map(|kind| sockets[kind].local_addr().unwrap());
        let names = ["public", "tls", "admin"].iter().zip(handed).filter(|(_, handed)| *handed).map(|(name, _)| *name);
        let names = names.collect::<Vec<_>>().join(":");
        let mut given = sockets.into_iter().zip(handed).filter(|(_, handed)| *handed).map(|(socket, _)| socket);
        let mut next =
            || given.next().map_or_else(Stdio::null, |socket| Stdio::from(std::os::fd::OwnedFd::from(socket)));
        // The shell moves the sockets to their places and knows its own process id, which is Salon's after `exec`.
        let script = "exec 3<&0 4<&1 5<&2 </dev/null >/dev/null 2>&1; LISTEN_PID=$$ exec \"$0\" serve --log off \"$@\"";
        let mut salon = apart(&mut Command::new("sh"))
            .args(["-c", script, env!("CARGO_BIN_EXE_salon"), "--stop-within", "3650d"])
            .args(["--listen".into(), public.to_string(), "--admin".into(), admin.to_string()])
            .args(["--tls-listen", &tls.to_string()])
            .args(["--tls-cert".as_ref(), cert.as_os_str(), "--tls-key".as_ref(), key.as_os_str()])
            .envs([("LISTEN_FDS", handed.iter().filter(|handed| **handed).count().to_string())])
            .envs([("LISTEN_FDNAMES", names)])
            .stdin(next())
            .stdout(next())
            .stderr(next())
            .spawn()
            .unwrap();
        drop(given);
        while TcpStream::connect(admin).is_err() || TcpStream::connect(public).is_err() {
            assert_eq!(salon.try_wait().unwrap(), None, "{handed:?}");
        }
        assert_eq!(get(admin, "/readyz").0, 200, "{handed:?}");
        let stubborn = stubborn(public);
        signal(&salon, "HUP");
        assert_eq!(get(admin, "/readyz").0, 200, "{handed:?}");
        signal(&salon, "TERM");
        // A client that came just before the signal is closed, and not answered.
        let ready = format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        while !exchange(admin, ready.as_bytes()).starts_with(b"HTTP/1.1 503") {}
        for _ in 0..3 {
            assert_eq!(get(admin, "/readyz").0, 503, "{handed:?}");
            assert_eq!(get(admin, "/livez").0, 200, "{handed:?}");
        }
        if !handed[0] {
            assert_eq!(get(public, "/health").0, 200, "{handed:?}");
        }
        drop(stubborn);
        assert_eq!(salon.wait().unwrap().code(), Some(0), "{handed:?}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Nobody reads the output of Salon, and it starts, serves and stops all the same.
#[test]
fn a_start_waits_for_nobody_who_reads_the_log() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_nonblocking(true).unwrap();
    while (&theirs).write(&[b'x'; 4096]).is_ok() {}
    while (&theirs).write(b"x").is_ok() {}
    theirs.set_nonblocking(false).unwrap();
    let [public, admin] = std::array::from_fn(|_| free_address());
    let mut salon = apart(&mut Command::new(env!("CARGO_BIN_EXE_salon")))
        .args(["serve", "--listen", &public.to_string(), "--admin", &admin.to_string()])
        .stderr(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
        .spawn()
        .unwrap();
    while TcpStream::connect(admin).is_err() {
        assert_eq!(salon.try_wait().unwrap(), None);
    }
    assert_eq!(get(admin, "/readyz").0, 200);
    assert_eq!(get(public, "/health").0, 200);
    signal(&salon, "TERM");
    assert_eq!(salon.wait().unwrap().code(), Some(0));
    drop(ours);
}
