//! Both adapters over real sockets, against tungstenite and against each other.

mod scripted;

use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use futures_util::{FutureExt, SinkExt, StreamExt};
use salon_proto::blocking;
use salon_proto::client_handshake::ResponseError;
use salon_proto::handshake::{Refusal, RequestError};
use salon_proto::{
    Agreed, ClientRequest, CloseCode, Connection, Control, Event, Limits, Message, Offer, OwnedMessage, Part, random,
};
use scripted::{Near, Task, settle};

/// Both ends of a connection over loopback.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}

fn request() -> ClientRequest<'static> {
    ClientRequest::new("localhost", random::nonce())
}

/// One that takes the longest of these messages.
fn wide(socket: blocking::WebSocket<TcpStream>) -> blocking::WebSocket<TcpStream> {
    socket.with(|connection| connection.limits(Limits { message_bytes: 100_000, fragments: 2 }))
}

/// A peer that sends back what comes, until the end.
fn echo(mut socket: blocking::WebSocket<TcpStream>) -> io::Result<()> {
    while let Some((event, mut sender)) = socket.read()? {
        if let Some(message) = event.message() {
            sender.send(message)?;
        }
    }
    Ok(())
}

fn texts() -> Vec<String> {
    ["", "hello", "κόσμε", &"x".repeat(126), &"é".repeat(40_000), &"word ".repeat(12_000)].map(String::from).to_vec()
}

/// Says everything, hears it back, closes, and hears the end.
fn converse(mut socket: blocking::WebSocket<TcpStream>) {
    for text in texts() {
        socket.send(Message::Text(&text)).unwrap();
        let (event, _) = socket.read().unwrap().unwrap();
        assert_eq!(event, Event::Text(&text));
        socket.send(Message::Binary(text.as_bytes())).unwrap();
        let (event, _) = socket.read().unwrap().unwrap();
        assert_eq!(event, Event::Binary(text.as_bytes()));
    }
    socket.sender().send_part(Part::Text("Hel"), false).unwrap();
    socket.sender().send(Message::Ping(Control::new(b"?").unwrap())).unwrap();
    socket.sender().send_part(Part::Text("lo"), true).unwrap();
    assert_eq!(socket.read().unwrap().unwrap().0, Event::Pong(b"?"));
    assert_eq!(socket.read().unwrap().unwrap().0, Event::Text("Hello"));
    socket.close(Some((CloseCode::NORMAL, "bye"))).unwrap();
    assert_eq!(socket.send(Message::Text("late")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    assert!(matches!(socket.read().unwrap().unwrap().0, Event::Close(Some((CloseCode::NORMAL, _)))));
    assert!(socket.read().unwrap().is_none() && socket.read().unwrap().is_none());
}

#[test]
fn blocking_sides_talk_to_each_other() {
    for request in [request(), request().deflate(Offer::new())] {
        let (near, far) = pair();
        let server = thread::spawn(move || echo(wide(blocking::WebSocket::accept(far)?)));
        converse(wide(blocking::WebSocket::connect(near, &request, random::keys()).unwrap()));
        server.join().unwrap().unwrap();
    }
}

#[test]
fn tungstenite_is_served() {
    let (near, far) = pair();
    let server = thread::spawn(move || echo(wide(blocking::WebSocket::accept(far)?)));
    let (mut socket, response) = tungstenite::client("ws://localhost/chat", near).unwrap();
    assert_eq!(response.status(), 101);
    for text in texts() {
        socket.send(tungstenite::Message::text(text.clone())).unwrap();
        assert_eq!(socket.read().unwrap(), tungstenite::Message::text(text));
    }
    socket.send(tungstenite::Message::Ping(vec![1, 2].into())).unwrap();
    assert_eq!(socket.read().unwrap(), tungstenite::Message::Pong(vec![1, 2].into()));
    socket.close(None).unwrap();
    assert_eq!(socket.read().unwrap(), tungstenite::Message::Close(None));
    assert!(matches!(socket.read(), Err(tungstenite::Error::ConnectionClosed)));
    server.join().unwrap().unwrap();
}

/// A server of tungstenite that sends back what comes.
fn tungstenite_echo(far: TcpStream) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut socket = tungstenite::accept(far).unwrap();
        while let Ok(message) = socket.read() {
            if message.is_text() || message.is_binary() {
                socket.send(message).unwrap();
            }
        }
    })
}

#[test]
fn tungstenite_is_talked_to() {
    let (near, far) = pair();
    let server = tungstenite_echo(far);
    converse(wide(blocking::WebSocket::connect(near, &request().deflate(Offer::new()), random::keys()).unwrap()));
    server.join().unwrap();
}

#[test]
fn a_server_chooses_adds_and_refuses() {
    let (near, far) = pair();
    let server = thread::spawn(move || {
        blocking::WebSocket::accept_with(far, |request, upgrade| {
            assert_eq!(request.path(), "/chat");
            Ok(upgrade.choose(&["v3", "v2"]).headers(&[("Set-Cookie", "a=b")]).unwrap())
        })
    });
    let protocols = ["v1", "v2"];
    let request = request().target("/chat").protocols(&protocols);
    let socket = blocking::WebSocket::connect(near, &request, random::keys()).unwrap();
    assert_eq!(socket.protocol(), Some("v2"));
    assert_eq!(server.join().unwrap().unwrap().protocol(), Some("v2"));

    let (near, far) = pair();
    let server = thread::spawn(move || {
        blocking::WebSocket::accept_with(far, |_, _| {
            Err(Refusal::new(401).unwrap().headers(&[("WWW-Authenticate", "Bearer")]).unwrap().body(b"who?"))
        })
    });
    match tungstenite::client("ws://localhost/", near) {
        Err(tungstenite::HandshakeError::Failure(tungstenite::Error::Http(response))) => {
            assert_eq!(
                (response.status().as_u16(), &response.headers()["www-authenticate"]),
                (401, &"Bearer".parse().unwrap())
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(server.join().unwrap().unwrap_err().kind(), io::ErrorKind::PermissionDenied);
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
fn answers(answer: &'static str) -> io::Result<blocking::WebSocket<TcpStream>> {
    let (near, mut far) = pair();
    let server = thread::spawn(move || {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            far.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        far.write_all(answer.as_bytes()).unwrap();
    });
    let request = ClientRequest::new("h", *b"the sample nonce");
    let socket = blocking::WebSocket::connect(near, &request, random::keys());
    server.join().unwrap();
    socket
}

const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x01\x02Hel\x03";

#[test]
fn a_client_judges_the_answer() {
    let error = answers("HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n").unwrap_err();
    let inner = error.get_ref().and_then(|error| error.downcast_ref::<ResponseError>());
    assert_eq!(inner, Some(&ResponseError::NotSwitched(302)));
    assert_eq!(answers("HTTP/1.1 101 Swi").unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    let mut socket = answers(Box::leak(format!("{}{SWITCHED}", hints.repeat(16)).into_boxed_str())).unwrap();
    let (event, _) = socket.read().unwrap().unwrap();
    assert!(matches!(event, Event::Failed(_)), "{event:?}");
    let error = answers(Box::leak(format!("{}{SWITCHED}", hints.repeat(17)).into_boxed_str())).unwrap_err();
    let inner = error.get_ref().and_then(|error| error.downcast_ref::<ResponseError>());
    assert_eq!(inner, Some(&ResponseError::NotSwitched(103)));
}

#[test]
fn an_end_without_a_close_is_an_error() {
    let (near, far) = pair();
    let server = thread::spawn(move || echo(blocking::WebSocket::accept(far)?));
    drop(blocking::WebSocket::connect(near, &request(), random::keys()).unwrap());
    assert_eq!(server.join().unwrap().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_io().build().unwrap().block_on(future)
}

fn asynchronous(stream: TcpStream) -> tokio::net::TcpStream {
    stream.set_nonblocking(true).unwrap();
    tokio::net::TcpStream::from_std(stream).unwrap()
}

/// A blocking client against a server that forwards its stream to its sink.
#[test]
fn tokio_serves() {
    for request in [request(), request().deflate(Offer::new())] {
        let (near, far) = pair();
        let client = thread::spawn(move || {
            converse(wide(blocking::WebSocket::connect(near, &request, random::keys()).unwrap()))
        });
        run(async {
            let socket = salon_proto::tokio::WebSocket::accept(asynchronous(far)).await.unwrap();
            let socket = socket.with(|connection| connection.limits(Limits { message_bytes: 100_000, fragments: 2 }));
            let (sink, messages) = socket.split();
            messages.forward(sink).await.unwrap();
        });
        client.join().unwrap();
    }
}

/// A client of tokio, once as a stream and a sink and once by events that are lent, against a blocking server.
#[test]
fn tokio_talks() {
    let (near, far) = pair();
    let server = thread::spawn(move || echo(wide(blocking::WebSocket::accept(far)?)));
    run(async {
        let request = request().deflate(Offer::new());
        let socket =
            salon_proto::tokio::WebSocket::connect(asynchronous(near), &request, random::keys()).await.unwrap();
        let mut socket = socket.with(|connection| connection.limits(Limits { message_bytes: 100_000, fragments: 1 }));
        for text in texts() {
            socket.send(OwnedMessage::Text(text.clone())).await.unwrap();
            assert_eq!(socket.next().await.unwrap().unwrap(), OwnedMessage::Text(text.clone()));
            socket.feed(OwnedMessage::Binary(text.clone().into())).await.unwrap();
            let (event, mut sender) = socket.read().await.unwrap().unwrap();
            assert_eq!(event, Event::Binary(text.as_bytes()));
            sender.send(Message::Ping(Control::new(b"?").unwrap())).unwrap();
            assert_eq!(socket.read().await.unwrap().unwrap().0, Event::Pong(b"?"));
        }
        socket.close().await.unwrap();
        assert!(socket.next().await.is_none(), "the Close is answered, and the stream ends");
    });
    server.join().unwrap().unwrap();
}

/// What is no good request is answered, and what is refused is refused.
#[test]
fn tokio_refuses() {
    for (head, status) in [("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 426), ("\x16", 400)] {
        let (mut near, far) = pair();
        near.write_all(head.as_bytes()).unwrap();
        let error =
            run(async { salon_proto::tokio::WebSocket::accept(asynchronous(far)).await.map(drop).unwrap_err() });
        assert!(error.get_ref().is_some_and(|error| error.is::<RequestError>()), "{error:?}");
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

/// A server's side over a scripted stream.
fn scripted(near: &Near) -> salon_proto::tokio::WebSocket<Near> {
    salon_proto::tokio::WebSocket::over(near.clone(), Connection::server(&Agreed::NOTHING), &[])
}

fn scripted_blocking(near: &Near) -> blocking::WebSocket<Near> {
    blocking::WebSocket::over(near.clone(), Connection::server(&Agreed::NOTHING), &[])
}

/// A text of a client, masked with nothing; a Close of it, and what a server answers to that.
const HI: &[u8] = b"\x81\x82\0\0\0\0hi";
const CLOSE: &[u8] = b"\x88\x82\0\0\0\0\x03\xe8";
const CLOSED: &[u8] = b"\x88\x02\x03\xe8";

/// A task writes to a peer that does not read for a moment, and another task, which reads, writes on behind it.
#[test]
fn a_writer_that_waits_is_woken_though_the_reader_wrote() {
    let near = Near::new(b"");
    near.wire().room = 10;
    let (mut sink, mut messages) = scripted(&near).split();
    let got = RefCell::new(Vec::new());
    let writer = Task::new(async { sink.send(OwnedMessage::Text("x".repeat(100))).await.unwrap() });
    let reader = Task::new(async {
        while let Some(message) = messages.next().await {
            got.borrow_mut().push(message.unwrap());
        }
    });
    let mut tasks = [writer, reader];
    settle(&mut tasks);
    near.bring(HI);
    settle(&mut tasks);
    assert_eq!((tasks[0].is_done(), got.borrow().len()), (false, 1));
    near.open();
    settle(&mut tasks);
    assert_eq!((tasks[0].is_done(), near.wire().sent.len()), (true, 102));
}

/// The reader waits because much is to be written, and the writer writes it.
#[test]
fn a_reader_that_waits_is_woken_though_the_writer_wrote() {
    let near = Near::new(b"");
    near.wire().room = 10;
    let (mut sink, mut messages) = scripted(&near).split();
    let got = RefCell::new(Vec::new());
    let mut tasks = [
        Task::new(async { sink.send(OwnedMessage::Text("x".repeat(300_000))).await.unwrap() }),
        Task::new(async {
            while let Some(message) = messages.next().await {
                got.borrow_mut().push(message.unwrap());
            }
        }),
    ];
    settle(&mut tasks);
    tasks[0].wake();
    settle(&mut tasks);
    near.open();
    settle(&mut tasks);
    near.bring(HI);
    settle(&mut tasks);
    assert_eq!((tasks[0].is_done(), got.borrow().len()), (true, 1));
}

/// The answer to a Close is with the peer before the end is told, however long the stream takes to flush.
#[test]
fn a_flush_that_takes_long_is_waited_for() {
    for flushes in 0..4 {
        let near = Near::new(CLOSE);
        near.wire().slow_flushes = flushes;
        let mut socket = scripted(&near);
        let mut tasks = [Task::new(async { assert!(socket.next().await.is_none()) })];
        settle(&mut tasks);
        for left in (0..flushes).rev() {
            assert!(!tasks[0].is_done(), "{flushes} flushes, {left} left");
            near.wake_writer();
            settle(&mut tasks);
        }
        drop(tasks);
        assert_eq!(near.wire().sent, CLOSED, "{flushes} flushes");
    }
}

/// A message that a stream has taken and not flushed is flushed while the socket waits for the next one.
#[test]
fn reading_goes_on_with_a_flush() {
    let near = Near::new(b"");
    near.wire().slow_flushes = 2;
    let mut socket = scripted(&near);
    let _ = socket.send(OwnedMessage::Text("hi".into())).now_or_never();
    let mut tasks = [Task::new(async { drop(socket.next().await) })];
    settle(&mut tasks);
    near.wake_writer();
    settle(&mut tasks);
    drop(tasks);
    assert_eq!(near.wire().sent, b"\x81\x02hi");
}

/// An owner that stops at the first error has sent the Close by then (section 7.1.7).
#[test]
fn the_close_behind_a_violation_is_sent_before_the_error() {
    for (flushes, room) in [(0, usize::MAX), (2, usize::MAX), (0, 3)] {
        let near = Near::new(b"\x83\x80\0\0\0\0");
        (near.wire().slow_flushes, near.wire().room) = (flushes, room);
        let (sink, messages) = scripted(&near).split();
        let mut tasks = [Task::new(async {
            assert_eq!(messages.forward(sink).await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        })];
        settle(&mut tasks);
        near.open();
        settle(&mut tasks);
        assert!(tasks[0].is_done());
        drop(tasks);
        let sent = near.wire().sent.clone();
        assert!(sent[0] == 0x88 && sent[2..4] == [0x03, 0xea], "{sent:?}");
    }
}

/// Bytes are written once, wherever a write or a flush stops for a while, and whatever is called then.
#[test]
fn a_write_that_stops_goes_on_where_it_was() {
    let long = "x".repeat(70_000);
    for text in ["hello", &long] {
        let whole = Near::new(b"");
        scripted_blocking(&whole).send(Message::Text(text)).unwrap();
        let whole = whole.wire().sent.clone();
        for room in (0..12).chain([whole.len() - 1, whole.len()]) {
            for error in [io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut] {
                let near = Near::new(b"");
                (near.wire().room, near.wire().write_error, near.wire().slow_flushes) = (room, Some(error), 1);
                let mut socket = scripted_blocking(&near);
                let kind = socket.send(Message::Text(text)).unwrap_err().kind();
                let full = near.wire().buffered.len() == whole.len();
                assert_eq!(kind, if full { io::ErrorKind::WouldBlock } else { error });
                near.wire().room = usize::MAX;
                assert_eq!(socket.read().unwrap_err().kind(), io::ErrorKind::WouldBlock);
                assert_eq!(socket.read().unwrap_err().kind(), io::ErrorKind::WouldBlock);
                assert!(near.wire().sent == whole, "{room} bytes, then {error:?}");
                socket.send(Message::Text(text)).unwrap();
                assert!(near.wire().sent == [&whole[..], &whole].concat(), "{room} bytes, then {error:?}");
            }
        }
    }
}

/// A stream that sends what it has taken only when it is flushed.
#[test]
fn much_output_is_flushed_too() {
    for len in [65_532, 65_536, 200_000] {
        let near = Near::new(b"");
        scripted_blocking(&near).send(Message::Binary(&vec![0; len])).unwrap();
        assert!(near.wire().buffered.is_empty() && near.wire().sent.len() > len, "{len} bytes");
    }
}

/// An error of the stream is told once, whatever the consumer does then; a Close that came before it is heard first.
#[test]
fn an_error_of_the_stream_is_told_once() {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, InvalidData};
    for (came, read, write) in [
        (&b""[..], Some(ConnectionReset), None),
        (b"", None, Some(BrokenPipe)),
        (b"", None, Some(InvalidData)),
        (HI, Some(ConnectionReset), Some(BrokenPipe)),
    ] {
        let failing = || {
            let near = Near::new(came);
            let room = if write.is_some() { 0 } else { usize::MAX };
            (near.wire().read_error, near.wire().write_error, near.wire().room) = (read, write, room);
            near
        };
        let mut socket = scripted_blocking(&failing());
        socket.sender().send(Message::Text("x")).unwrap();
        if !came.is_empty() {
            assert_eq!(socket.read().unwrap().unwrap().0, Event::Text("hi"));
        }
        assert_eq!(socket.read().unwrap_err().kind(), write.or(read).unwrap());
        assert!(socket.read().unwrap().is_none() && socket.read().unwrap().is_none());

        let mut socket = scripted(&failing());
        socket.sender().send(Message::Text("x")).unwrap();
        if !came.is_empty() {
            assert_eq!(socket.next().now_or_never().unwrap().unwrap().unwrap(), OwnedMessage::Text("hi".into()));
        }
        let error = socket.next().now_or_never().unwrap().unwrap().unwrap_err();
        assert_eq!(error.kind(), write.or(read).unwrap());
        assert!(socket.next().now_or_never().unwrap().is_none());
        assert_eq!(socket.flush().now_or_never().unwrap().unwrap_err().kind(), write.or(read).unwrap());
    }
    // The peer has closed and gone: that is no error.
    let near = Near::new(CLOSE);
    (near.wire().ended, near.wire().write_error, near.wire().room) = (true, Some(BrokenPipe), 0);
    let mut socket = scripted_blocking(&near);
    socket.sender().send(Message::Text("x")).unwrap();
    assert!(matches!(socket.read().unwrap().unwrap().0, Event::Close(Some((CloseCode::NORMAL, _)))));
    assert!(socket.read().unwrap().is_none());
    near.bring(CLOSE);
    let mut socket = scripted(&near);
    socket.sender().send(Message::Text("x")).unwrap();
    assert!(socket.next().now_or_never().unwrap().is_none());
}

/// A server ends the stream behind the closing handshake, by a shutdown that TLS says goodbye by; once.
#[test]
fn the_server_shuts_the_stream_down() {
    let ended = |near: &Near| {
        let wire = near.wire();
        (wire.sent.clone(), wire.shut)
    };
    let near = Near::new(CLOSE);
    let mut socket = scripted(&near);
    assert!(socket.next().now_or_never().unwrap().is_none());
    assert_eq!(ended(&near), (CLOSED.to_vec(), 1));
    socket.close().now_or_never().unwrap().unwrap();
    socket.close().now_or_never().unwrap().unwrap();
    assert!(socket.next().now_or_never().unwrap().is_none());
    assert_eq!(ended(&near), (CLOSED.to_vec(), 1));

    let near = Near::new(HI);
    let mut socket = scripted(&near);
    socket.close().now_or_never().unwrap().unwrap();
    socket.close().now_or_never().unwrap().unwrap();
    assert!(socket.next().now_or_never().is_none(), "the peer's Close has not come");
    assert_eq!(ended(&near), (CLOSED.to_vec(), 0));
    near.bring(CLOSE);
    assert!(socket.next().now_or_never().unwrap().is_none());
    assert_eq!(near.wire().shut, 1);
}

/// A client ends behind a violation, and behind a Close as soon as anything follows it.
#[test]
fn a_client_does_not_read_for_ever_behind_the_end() {
    for (came, more, waits) in [(&b"\x83\0"[..], &b""[..], false), (b"\x88\0", b"", true), (b"\x88\0", b"more", false)]
    {
        let client = || Connection::client(|| [0; 4], &Agreed::NOTHING);
        let near = Near::new(came);
        let mut socket = blocking::WebSocket::over(near.clone(), client(), &[]);
        assert!(matches!(socket.read().unwrap().unwrap().0, Event::Close(_) | Event::Failed(_)));
        near.bring(more);
        assert!(socket.read().unwrap().is_none());
        assert_eq!(near.wire().sent[0], 0x88);

        let near = Near::new(came);
        let mut socket = salon_proto::tokio::WebSocket::over(near.clone(), client(), &[]);
        assert!(socket.read().now_or_never().unwrap().unwrap().is_some());
        near.bring(more);
        match socket.read().now_or_never() {
            None => assert!(waits),
            Some(end) => assert!(!waits && end.unwrap().is_none()),
        }
        assert_eq!(near.wire().sent[0], 0x88);
    }
}
