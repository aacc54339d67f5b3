//! Both adapters over real sockets, against tungstenite and against each other.

mod scripted;

use std::cell::RefCell;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use futures_util::{FutureExt, SinkExt, StreamExt};
use salon_proto::blocking;
use salon_proto::{
    Agreed, ClientRequest, CloseCode, Connection, Control, Event, Limits, Message, Offer, OwnedMessage, Part, Piece,
    random,
};
use scripted::{End, Near, Task, settle};

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
    socket.with(|connection| connection.limits(Limits::new().message_bytes(100_000).fragments(2)))
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
            let socket = socket.with(|connection| connection.limits(Limits::new().message_bytes(100_000).fragments(2)));
            let (sink, messages) = socket.split();
            messages.forward(sink).await.unwrap();
        });
        client.join().unwrap();
    }
}

/// A message that is longer than anybody wants to hold, with a ping amid it, and a Close behind it.
fn say_in_parts(near: TcpStream) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut socket = blocking::WebSocket::over(near, Connection::client(random::keys(), &Agreed::NOTHING), &[]);
        for part in 0..PARTS {
            socket.sender().send_part(Part::Text(&"é".repeat(PART / 2)), part == PARTS - 1).unwrap();
            if part == 0 {
                socket.send(Message::Ping(Control::new(b"?").unwrap())).unwrap();
            }
        }
        socket.close(Some((CloseCode::NORMAL, ""))).unwrap();
        let mut heard = Vec::new();
        while let Some((event, _)) = socket.read().unwrap() {
            heard.push(format!("{event:?}"));
        }
        // Nothing else is passed on behind our own Close.
        assert_eq!(heard, ["Close(Some((1000, \"\")))"]);
    })
}

const PARTS: usize = 50;
const PART: usize = 100_000;

/// Notes a piece of what `say_in_parts` says: how long the message is so far, and what else was heard.
fn note(piece: Piece<'_>, heard: &mut (usize, Vec<String>)) {
    match piece {
        Piece::Data { bytes, first, last, .. } => {
            assert_eq!(first, heard.0 == 0);
            heard.0 += bytes.len();
            assert_eq!(last, heard.0 == PARTS * PART);
        }
        Piece::Event(event) => heard.1.push(format!("{event:?}")),
    }
}

fn server_in_pieces() -> Connection {
    Connection::server(&Agreed::NOTHING).limits(Limits::new().message_bytes((PARTS * PART) as u32))
}

#[test]
fn a_long_message_comes_in_pieces() {
    let expected = (PARTS * PART, vec!["Ping([63])".to_owned(), "Close(Some((1000, \"\")))".to_owned()]);
    let (near, far) = pair();
    let client = say_in_parts(near);
    let mut socket = blocking::WebSocket::over(far, server_in_pieces(), &[]);
    let mut heard = Default::default();
    while let Some((piece, _)) = socket.read_piece().unwrap() {
        note(piece, &mut heard);
        assert!(socket.connection().held_bytes() < 1000, "a piece is not held");
    }
    drop(socket);
    assert_eq!(heard, expected);
    client.join().unwrap();

    let (near, far) = pair();
    let client = say_in_parts(near);
    run(async {
        let mut socket = salon_proto::tokio::WebSocket::over(asynchronous(far), server_in_pieces(), &[]);
        let mut heard = Default::default();
        while let Some((piece, _)) = socket.read_piece().await.unwrap() {
            note(piece, &mut heard);
            assert!(socket.connection().held_bytes() < 1000, "a piece is not held");
        }
        assert_eq!(heard, expected);
    });
    client.join().unwrap();
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
        let mut socket = socket.with(|connection| connection.limits(Limits::new().message_bytes(100_000).fragments(1)));
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

/// The reader waits because many pongs are to be written, and the writer writes them.
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
    near.bring(&pings(1 << 20));
    settle(&mut tasks);
    tasks[0].wake();
    settle(&mut tasks);
    near.open();
    settle(&mut tasks);
    near.bring(HI);
    settle(&mut tasks);
    assert_eq!((tasks[0].is_done(), got.borrow().len()), (true, 1));
}

/// So many bytes of a client's pings.
fn pings(len: usize) -> Vec<u8> {
    [b"\x89\xfd\0\0\0\0", &[b'p'; 125][..]].concat().repeat(len / 131)
}

/// Both sides send messages that are longer than all buffers on the way, and each reads beside it.
#[test]
fn sides_that_send_long_messages_hear_each_other() {
    const COUNT: usize = 3;
    let long = vec![7; 1_000_000];
    let limits = Limits::new().message_bytes(1 << 20);
    let sides = || [Connection::client(|| [1; 4], &Agreed::NOTHING), Connection::server(&Agreed::NOTHING)];

    let (near, far) = tokio::io::duplex(64 << 10);
    let mut halves = Vec::new();
    for (stream, side) in [near, far].into_iter().zip(sides()) {
        halves.push(salon_proto::tokio::WebSocket::over(stream, side.limits(limits), &[]).split());
    }
    let mut tasks = Vec::new();
    for (sink, messages) in &mut halves {
        tasks.push(Task::new(async {
            for _ in 0..COUNT {
                sink.send(OwnedMessage::Binary(long.clone())).await.unwrap();
            }
        }));
        tasks.push(Task::new(async {
            for _ in 0..COUNT {
                assert!(matches!(messages.next().await, Some(Ok(OwnedMessage::Binary(data))) if data == long));
            }
        }));
    }
    settle(&mut tasks);
    assert_eq!(tasks.iter().map(Task::is_done).collect::<Vec<_>>(), [true; 4]);

    let mut sockets = Vec::new();
    for (stream, side) in End::pair().into_iter().zip(sides()) {
        let mut socket = blocking::WebSocket::over(stream, side.limits(limits), &[]);
        for _ in 0..COUNT {
            assert_eq!(socket.send(Message::Binary(&long)).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        sockets.push((socket, 0));
    }
    // As often as the way is to be emptied, and some more.
    for _ in 0..2 * COUNT * long.len() / (64 << 10) {
        for (socket, heard) in &mut sockets {
            match socket.read() {
                Ok(event) => {
                    assert_eq!(event.unwrap().0, Event::Binary(&long));
                    *heard += 1;
                }
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
    }
    assert_eq!(sockets.iter().map(|(_, heard)| *heard).collect::<Vec<_>>(), [COUNT; 2]);
}

/// A peer that does not read is not read from without end: neither by what is owed to it of itself, nor by what its
/// messages are answered with.
#[test]
fn what_a_peer_causes_is_bounded_though_it_does_not_read() {
    let texts = [b"\x82\xfe\x03\xe8\0\0\0\0", &[b'x'; 1000][..]].concat().repeat(1000);
    for come in [pings(1 << 20), texts] {
        // As long as the bytes that wait before anything comes do not count.
        for before in [0, 300_000] {
            let near = || {
                let near = Near::new(&come);
                near.wire().room = 0;
                near
            };
            let stops = |near: &Near, kind: &str| {
                let taken = come.len() - near.wire().came.len();
                assert!((250_000..500_000).contains(&taken), "{kind}: {taken} bytes taken, {before} waited before");
            };
            let far = near();
            let mut socket = scripted_blocking(&far);
            socket.sender().send(Message::Binary(&vec![0; before])).unwrap_or_default();
            let error = loop {
                match socket.read() {
                    Ok(event) => {
                        let (event, mut sender) = event.unwrap();
                        event.message().map(|message| sender.send(message));
                    }
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            stops(&far, "blocking");
            let far = near();
            let mut socket = scripted(&far);
            socket.sender().send(Message::Binary(&vec![0; before])).unwrap();
            let mut tasks = [Task::new(async {
                while let Some((event, mut sender)) = socket.read().await.unwrap() {
                    event.message().map(|message| sender.send(message));
                }
            })];
            settle(&mut tasks);
            stops(&far, "tokio");
        }
    }
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

/// A peer that does not answer our Close is read from so far, and no further; one that does is heard.
#[test]
fn a_close_that_is_not_answered_is_not_waited_for_without_end() {
    // What a blocking reader and one of tokio are told at the end, if these bytes come behind our Close.
    let end = |come: &[u8]| {
        let near = || {
            let near = Near::new(come);
            near.wire().ended = true;
            near
        };
        let mut socket = scripted_blocking(&near());
        socket.close(None).unwrap();
        let blocking = loop {
            match socket.read() {
                Ok(Some((event, _))) => assert_eq!(event, Event::Close(Some((CloseCode::NORMAL, "")))),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.kind()),
            }
        };
        assert!(socket.read().unwrap().is_none(), "it is told once");
        let mut socket = scripted(&near());
        socket.sender().close(None);
        let asynchronous = match socket.next().now_or_never().unwrap() {
            Some(error) => Err(error.unwrap_err().kind()),
            None => Ok(()),
        };
        assert_eq!(blocking, asynchronous);
        blocking
    };
    let mut frame = b"\x82\xfe\xff\xf8\0\0\0\0".to_vec();
    frame.resize(64 << 10, 0);
    // Less than 16 MiB and 64 KiB of a message, and more, by some reads.
    for (frames, close, expected) in [
        (0, CLOSE, Ok(())),
        (250, CLOSE, Ok(())),
        (300, CLOSE, Err(io::ErrorKind::ConnectionAborted)),
        (250, b"", Err(io::ErrorKind::UnexpectedEof)),
        (300, b"", Err(io::ErrorKind::ConnectionAborted)),
    ] {
        assert_eq!(end(&[&frame.repeat(frames), close].concat()), expected, "{frames} frames, then {close:x?}");
    }
}

/// Behind the end a server may read on, so that its last word is not lost to a reset: so far, and no further.
#[test]
fn behind_the_end_a_server_reads_on_for_a_while() {
    let violation = b"\x83\x80\0\0\0\0";
    // How much comes behind a violation, whether the stream ends then, and what draining it says.
    for (more, ends, expected) in [
        (0, true, Ok(true)),
        (1 << 20, true, Ok(true)),
        (3 << 20, true, Ok(false)),
        (3 << 20, false, Ok(false)),
        (10, false, Err(io::ErrorKind::WouldBlock)),
    ] {
        let near = || {
            let near = Near::new(&[violation, &vec![0; more][..]].concat());
            near.wire().ended = ends;
            near
        };
        let mut socket = scripted_blocking(&near());
        assert_eq!(socket.drain().unwrap_err().kind(), io::ErrorKind::InvalidInput, "it is open");
        assert!(matches!(socket.read().unwrap().unwrap().0, Event::Failed(_)));
        assert!(socket.read().unwrap().is_none());
        assert_eq!(socket.drain().map_err(|error| error.kind()), expected, "{more} bytes, {ends}");
        let far = near();
        let mut socket = scripted(&far);
        assert_eq!(socket.drain().now_or_never().unwrap().unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(socket.next().now_or_never().unwrap().unwrap().is_err());
        let drained = socket.drain().now_or_never().map_or(Err(io::ErrorKind::WouldBlock), |end| Ok(end.unwrap()));
        assert_eq!(drained, expected, "{more} bytes, {ends}");
        assert_eq!(far.wire().shut, 1);
    }
}

/// The sending half of a socket of tokio that was split sends control frames as well.
#[test]
fn the_writing_half_pings_and_closes() {
    let near = Near::new(b"");
    let (mut sink, mut messages) = scripted(&near).split();
    let body = || Control::new(b"?").unwrap().into();
    for message in [
        OwnedMessage::Ping(body()),
        OwnedMessage::Pong(body()),
        OwnedMessage::Text("hi".into()),
        OwnedMessage::Close(Some((CloseCode::new(4000).unwrap(), "bye".into()))),
        OwnedMessage::Close(None),
    ] {
        sink.send(message).now_or_never().unwrap().unwrap();
    }
    let error = sink.send(OwnedMessage::Ping(body())).now_or_never().unwrap().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    sink.close().now_or_never().unwrap().unwrap();
    assert_eq!(near.wire().sent, b"\x89\x01?\x8a\x01?\x81\x02hi\x88\x05\x0f\xa0bye");
    near.bring(CLOSE);
    assert!(messages.next().now_or_never().unwrap().is_none());
}

/// A long message is written from where it lies, if the stream takes slices: the same bytes, wherever it stops for a
/// while, and whatever is put behind.
#[test]
fn long_messages_are_not_copied_and_not_mixed_up() {
    let say = |near: &Near| {
        let mut socket = scripted(near);
        let long = |at: u8| OwnedMessage::Binary(vec![at; 5000]);
        let mut sent = Vec::new();
        // Of each kind, one behind the other while the stream takes nothing more, and then all.
        let text = |len: usize| OwnedMessage::Text("x".repeat(len));
        for message in [long(1), text(5), long(2), text(70_000)] {
            let _ = socket.send(message).now_or_never();
        }
        near.open();
        socket.close().now_or_never().unwrap().unwrap();
        sent.append(&mut near.wire().sent);
        let late = socket.send(long(3)).now_or_never().unwrap().unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::InvalidInput);
        sent
    };
    let whole = say(&Near::new(b""));
    assert_eq!(whole.len(), 2 * 5004 + 7 + 70_010 + 4);
    for room in [0, 1, 4, 5, 5003, 5004, 5005, 5011, 5015, 5021, 10_000, 10_015, 10_025, 70_000, usize::MAX] {
        let near = Near::new(b"");
        (near.wire().vectored, near.wire().room) = (true, room);
        assert!(say(&near) == whole, "{room} bytes, and then the rest");
    }
    // A client masks, so it copies.
    let near = Near::new(b"");
    near.wire().vectored = true;
    let client = Connection::client(|| [0xff; 4], &Agreed::NOTHING);
    let mut socket = salon_proto::tokio::WebSocket::over(near.clone(), client, &[]);
    socket.send(OwnedMessage::Binary(vec![0; 5000])).now_or_never().unwrap().unwrap();
    assert!(near.wire().sent[8..].iter().all(|&byte| byte == 0xff));
}
