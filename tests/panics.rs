//! A mistake of ours that nothing contains: every client hears 1011, and the loop ends, so that a supervisor starts it
//! again.
//!
//! A binary of its own, because the loop runs in this process and takes its SIGINT, SIGTERM and SIGHUP: no other test
//! could be stopped by Ctrl-C any more.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use salon::engine::{Event, Settings};
use salon::id::ConnId;
use salon::proto::Agreed;
use salon::random::Random;
use salon::server::forwarded::Proxies;
use salon::server::kernel::{Bound, Kernel};
use salon::server::listener::{Address, Listener};
use salon::server::reactor::{Bounds, Reactor};
use salon::server::system::System;
use salon::server::tls::Certificates;
use salon::server::{Error, Port, Seen, Service, Turn};
use salon::time::{Moment, Tick};

/// Lets every client in, and panics at the word.
struct Fragile;

impl<S: System> Service<S> for Fragile {
    /// The response to a request.
    type Then = Option<(Vec<u8>, Agreed<'static>)>;

    fn handle(&mut self, _: ConnId, _: Port, event: Event<'_>, _: &Seen<'_>) -> Self::Then {
        match event {
            Event::Request(request) => {
                let mut response = Vec::new();
                let agreed = request.upgrade().unwrap().encode(&mut response).extensions();
                return Some((response, agreed));
            }
            Event::Text(text) => assert_ne!(text, "panic", "as the test wants it"),
            _ => {}
        }
        None
    }

    fn carry_out(&mut self, id: ConnId, then: Self::Then, turn: &mut Turn<'_, S>) {
        if let Some((response, agreed)) = then {
            turn.engine.upgrade(id, &response, &agreed);
        }
    }

    fn deliver(&mut self, _: &mut Turn<'_, S>) {}

    fn handle_timeout(&mut self, _: Moment) {}

    fn next_deadline(&self) -> Option<Tick> {
        None
    }

    fn shut_down(&mut self, _: &mut Turn<'_, S>, _within: Duration) {}
}

fn client(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    stream
}

#[test]
fn a_turn_that_panics_is_the_last_and_everybody_hears_1011() {
    let socket = Bound::bind(&Address::Tcp(([127, 0, 0, 1], 0).into()), "--listen").unwrap();
    let address = socket.local_address().unwrap().unwrap();
    let bounds = Bounds {
        max_connections: 10,
        addresses: None,
        proxies: Proxies::default(),
        memory: None,
        stop_after: Duration::ZERO,
        stop_within: Duration::from_secs(1),
    };
    let server = std::thread::spawn(move || {
        let mut kernel = Kernel::new().unwrap();
        let listener = Listener::new(kernel.listen(socket).unwrap(), Port::Public);
        let keyed = Random::secret().keyed();
        Reactor::new(kernel, vec![listener], Settings::default(), bounds, Certificates::default(), &keyed)
            .run(&mut Fragile)
    });
    let (mut bystander, mut culprit) = (client(address), client(address));
    // Behind the word lies more, which nothing will read: all must get their Close nevertheless.
    let text = |text: &[u8]| [&[0x81, 0x80 | text.len() as u8, 0, 0, 0, 0], text].concat();
    culprit.write_all(&[text(b"panic"), text(b"and more")].concat()).unwrap();
    for stream in [&mut bystander, &mut culprit] {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"\x88\x10\x03\xf3internal error");
    }
    assert!(matches!(server.join().unwrap(), Err(Error::Panicked)));
}
