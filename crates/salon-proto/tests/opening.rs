//! The opening handshake through both adapters, over real sockets: what a server chooses, adds and refuses, and what a
//! client is shown.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use salon_proto::client_handshake::{MAX_REFUSED_BODY, Refused, ResponseError};
use salon_proto::handshake::{HeadLimits, Refusal, Request, RequestError, Upgrade};
use salon_proto::{ClientRequest, Event, Offer, blocking, random, tokio};

/// Both ends of a connection over loopback.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn request() -> ClientRequest<'static> {
    ClientRequest::new("localhost", random::nonce())
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = ::tokio::runtime::Builder::new_current_thread();
    runtime.enable_io().build().unwrap().block_on(future)
}

fn asynchronous(stream: TcpStream) -> ::tokio::net::TcpStream {
    stream.set_nonblocking(true).unwrap();
    ::tokio::net::TcpStream::from_std(stream).unwrap()
}

#[test]
fn a_server_chooses_adds_and_refuses() {
    let (near, far) = pair();
    let server = thread::spawn(move || {
        blocking::WebSocket::accept_with(far, |request, upgrade| {
            // What is chosen, and what is said, may be known only now.
            let (ours, session) = (String::from("v2"), format!("path={}", request.path()));
            let upgrade = upgrade.choose(&["v3", &ours]).headers(&[("Set-Cookie", &session)]).unwrap();
            Ok(upgrade.headers(&[("Set-Cookie", "a=b")]).unwrap())
        })
    });
    let protocols = ["v1", "v2"];
    let request = request().target("/chat").protocols(&protocols);
    let mut head = Vec::new();
    request.encode(&mut head).unwrap();
    (&near).write_all(&head).unwrap();
    assert_eq!(server.join().unwrap().unwrap().protocol(), Some("v2"));
    let mut answer = String::new();
    (&near).read_to_string(&mut answer).unwrap();
    let headers = "Sec-WebSocket-Protocol: v2\r\nSet-Cookie: path=/chat\r\nSet-Cookie: a=b\r\n\r\n";
    assert!(answer.ends_with(headers), "{answer}");

    let (near, far) = pair();
    let server = thread::spawn(move || {
        blocking::WebSocket::accept_with(far, |_, _| {
            let realm = format!("Bearer realm={:?}", "a");
            Err(Refusal::new(401).unwrap().headers(&[("WWW-Authenticate", &realm)]).unwrap().body(b"who?"))
        })
    });
    match tungstenite::client("ws://localhost/", near) {
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            assert_eq!(
                (response.status().as_u16(), &response.headers()["www-authenticate"]),
                (401, &"Bearer realm=\"a\"".parse().unwrap())
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.join().unwrap().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
}

/// A server that looks at the request agrees to the same compression as one that does not, unless it says otherwise.
#[test]
fn a_server_that_decides_compresses_as_well() {
    type Decide = for<'a> fn(&Request<'a>, Upgrade<'a>) -> Result<Upgrade<'a>, Refusal>;
    let same: Decide = |_, upgrade| Ok(upgrade);
    let plain: Decide = |_, upgrade| Ok(upgrade.without_deflate());
    type Accept = fn(TcpStream, Decide) -> io::Result<()>;
    let ways: [(Accept, Decide, bool); 8] = [
        (|far, _| blocking::WebSocket::accept(far).map(drop), same, true),
        (|far, decide| blocking::WebSocket::accept_with(far, decide).map(drop), same, true),
        (|far, decide| blocking::WebSocket::accept_with(far, decide).map(drop), plain, false),
        (|far, decide| blocking::WebSocket::accept_within(far, HeadLimits::default(), decide).map(drop), same, true),
        (|far, _| run(async { tokio::WebSocket::accept(asynchronous(far)).await.map(drop) }), same, true),
        (
            |far, decide| run(async { tokio::WebSocket::accept_with(asynchronous(far), decide).await.map(drop) }),
            same,
            true,
        ),
        (
            |far, decide| run(async { tokio::WebSocket::accept_with(asynchronous(far), decide).await.map(drop) }),
            plain,
            false,
        ),
        (
            |far, decide| {
                let limits = HeadLimits::default();
                run(async { tokio::WebSocket::accept_within(asynchronous(far), limits, decide).await.map(drop) })
            },
            same,
            true,
        ),
    ];
    let mut head = Vec::new();
    request().deflate(Offer::new()).encode(&mut head).unwrap();
    for (at, (accept, decide, compresses)) in ways.into_iter().enumerate() {
        let (mut near, far) = pair();
        near.write_all(&head).unwrap();
        accept(far, decide).unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert_eq!(answer.contains("Sec-WebSocket-Extensions: permessage-deflate"), compresses, "way {at}: {answer}");
    }
}

/// What is no good request is answered with its status.
#[test]
fn bad_requests_are_answered() {
    for (head, status) in [
        ("GET / HTTP/1.1\r\nHost: h\r\n\r\n", "426 "),
        ("POST / HTTP/1.1\r\nHost: h\r\n\r\n", "405 "),
        ("GET / HTTP/1.1\r\n\r\n", "400 "),
        ("GET / HTTP/1.1\n", "400 "),
        ("\x16\x03\x01", "400 "),
    ] {
        let (mut near, far) = pair();
        let server = thread::spawn(move || blocking::WebSocket::accept(far));
        near.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.ends_with("\r\n\r\n"), "{answer}");
        assert_eq!(answer.contains("Sec-WebSocket-Version: 13"), status == "426 ");
        assert_eq!(answer.contains("Allow: GET"), status == "405 ");
        let error = server.join().unwrap().unwrap_err();
        assert!(error.get_ref().is_some_and(|error| error.is::<RequestError>()), "{error:?}");
    }
}

/// A server that answers with these bytes, and ends.
fn answering(answer: &str) -> (TcpStream, JoinHandle<()>) {
    let (near, mut far) = pair();
    let answer = answer.to_owned();
    let server = thread::spawn(move || {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            far.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        far.write_all(answer.as_bytes()).unwrap();
    });
    (near, server)
}

const REQUEST: ClientRequest<'static> = ClientRequest::new("h", *b"the sample nonce");

/// What a client says to that answer.
fn answers(answer: &str) -> io::Result<blocking::WebSocket<TcpStream>> {
    let (near, server) = answering(answer);
    let socket = blocking::WebSocket::connect(near, &REQUEST, random::keys());
    server.join().unwrap();
    socket
}

/// What one of tokio does.
fn refused_asynchronous(answer: &str) -> Refused {
    let (near, server) = answering(answer);
    let error = run(async {
        let connecting = tokio::WebSocket::connect(asynchronous(near), &REQUEST, random::keys());
        connecting.await.map(drop).unwrap_err()
    });
    server.join().unwrap();
    Refused::of(&error).cloned().unwrap()
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x01\x02Hel\x03";

#[test]
fn a_client_judges_the_answer() {
    assert_eq!(answers("HTTP/1.1 101 Swi").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let error = answers(&SWITCHED.replace("websocket", "h2c")).unwrap_err();
    let inner = error.get_ref().and_then(|error| error.downcast_ref::<ResponseError>());
    assert_eq!(inner, Some(&ResponseError::NotUpgraded));
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let mut socket = answers(&format!("{}{SWITCHED}", hints.repeat(16))).unwrap();
    let (event, _) = socket.read().unwrap().unwrap();
    assert!(matches!(event, Event::Failed(_)), "{event:?}");
    let error = answers(&format!("{}{SWITCHED}", hints.repeat(17))).unwrap_err();
    assert_eq!(Refused::of(&error).map(Refused::status), Some(103));
}

/// A refusal or redirection is an error that shows what was said.
#[test]
fn a_client_is_shown_the_refusal() {
    for (answer, header, body, whole) in [
        ("HTTP/1.1 302 Found\r\nLocation: /a\r\nContent-Length: 0\r\n\r\n", "/a", "", true),
        ("HTTP/1.1 401 Who\r\nLocation: /b\r\nContent-Length: 4\r\n\r\nwho?more", "/b", "who?", true),
        ("HTTP/1.1 503 x\r\nLocation: c\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n", "c", "no", true),
        ("HTTP/1.1 400 x\r\nLocation: d\r\n\r\nto the end", "d", "to the end", true),
        ("HTTP/1.1 400 x\r\nLocation: e\r\nContent-Length: 400\r\n\r\nbegun", "e", "begun", false),
    ] {
        let error = answers(answer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        let refused = Refused::of(&error).expect("it is one");
        assert_eq!(Some(refused), Some(&refused_asynchronous(answer)));
        assert_eq!(refused.status().to_string(), answer[9..12]);
        assert_eq!(refused.header("location"), Some(header.as_bytes()), "{answer}");
        assert_eq!((refused.body(), refused.is_whole()), (body.as_bytes(), whole), "{answer}");
        assert_eq!(error.to_string(), format!("status {} and not 101", refused.status()));
    }
    let long = format!("HTTP/1.1 404 x\r\n\r\n{}", "x".repeat(MAX_REFUSED_BODY));
    let refused = refused_asynchronous(&long);
    assert_eq!((refused.body().len(), refused.is_whole()), (MAX_REFUSED_BODY, false));
}

/// Heads are taken up to the limits that an owner gives, on either side.
#[test]
fn limits_of_heads_are_the_owners() {
    let cookie = "x".repeat(20_000);
    let headers = [("Cookie", &*cookie)];
    let request = request().headers(&headers);
    let wide = HeadLimits::new().head(40_000).line(30_000).headers(20);
    let answer = SWITCHED.replace("\r\n\r\n", &format!("\r\nSet-Cookie: {cookie}\r\n\r\n"));
    for (limits, fits) in [(wide, true), (wide.headers(3), false), (HeadLimits::default(), false)] {
        let (near, far) = pair();
        let server = thread::spawn(move || blocking::WebSocket::accept_within(far, limits, |_, upgrade| Ok(upgrade)));
        let connected = blocking::WebSocket::connect(near, &request, random::keys());
        assert_eq!((connected.is_ok(), server.join().unwrap().is_ok()), (fits, fits), "{limits:?}");

        let (near, far) = pair();
        let client = thread::spawn({
            let cookie = cookie.clone();
            move || {
                let headers = [("Cookie", &*cookie)];
                blocking::WebSocket::connect(
                    near,
                    &ClientRequest::new("localhost", random::nonce()).headers(&headers),
                    random::keys(),
                )
                .is_ok()
            }
        });
        let accepted = run(async {
            tokio::WebSocket::accept_within(asynchronous(far), limits, |_, upgrade| Ok(upgrade)).await.is_ok()
        });
        assert_eq!((client.join().unwrap(), accepted), (fits, fits), "{limits:?}");

        let (near, server) = answering(&answer);
        assert_eq!(blocking::WebSocket::connect_within(near, limits, &REQUEST, random::keys()).is_ok(), fits);
        server.join().unwrap();
        let (near, server) = answering(&answer);
        let connected = run(async {
            tokio::WebSocket::connect_within(asynchronous(near), limits, &REQUEST, random::keys()).await.is_ok()
        });
        assert_eq!(connected, fits, "{limits:?}");
        server.join().unwrap();
    }
}

/// What is no good request is answered, and what is refused is refused.
#[test]
fn tokio_refuses() {
    for (head, status) in [("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 426), ("\x16", 400)] {
        let (mut near, far) = pair();
        near.write_all(head.as_bytes()).unwrap();
        let error = run(async { tokio::WebSocket::accept(asynchronous(far)).await.map(drop).unwrap_err() });
        assert!(error.get_ref().is_some_and(|error| error.is::<RequestError>()), "{error:?}");
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}
