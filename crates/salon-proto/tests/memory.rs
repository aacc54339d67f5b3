//! The memory of connections that compress, counted by the allocator. A binary of its own, because it replaces that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use salon_proto::client_handshake::Response;
use salon_proto::handshake::Request;
use salon_proto::{ClientContext, ClientRequest, Connection, Event, Input, Message, Offer};

/// The system's allocator, which also counts what a thread holds, in bytes.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
}

fn note(bytes: isize) {
    // A thread that ends frees memory when its counter is gone already.
    let _ = HELD.try_with(|held| held.set(held.get() + bytes));
}

// SAFETY: every call is passed on to `System` unchanged; counting neither allocates nor unwinds.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size() as isize);
        // SAFETY: the caller's promises are those of `System`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        note(-(layout.size() as isize));
        // SAFETY: likewise.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Both sides of a connection without context on either side.
fn pair() -> [Connection; 2] {
    let (mut head, mut answer) = (Vec::new(), Vec::new());
    let request = ClientRequest::new("h", *b"the sample nonce").deflate(Offer::new().server_no_context_takeover());
    request.encode(&mut head).unwrap();
    let upgrade = Request::parse(&head).unwrap().upgrade().unwrap().deflate(ClientContext::Reset);
    let server = Connection::server(&upgrade.encode(&mut answer));
    let client = Connection::client(|| [1, 2, 3, 4], &Response::parse(&answer).unwrap().accept(&request).unwrap());
    [server, client].map(|side| side.compression(6, 16))
}

/// Each side says a text of 16 bytes, compressed, and hears the other's.
fn talk([server, client]: &mut [Connection; 2]) {
    let text = "a".repeat(16);
    let (mut out, mut answers, mut input) = (Vec::new(), Vec::new(), Input::new());
    for turn in 0..2 {
        let (from, to) = if turn == 0 { (&mut *server, &mut *client) } else { (&mut *client, &mut *server) };
        from.send(Message::Text(&text), &mut out).unwrap();
        assert_eq!(out[0], 0xc1, "it is compressed");
        input.extend(&out);
        out.clear();
        assert_eq!(to.receive(&mut input, &mut answers), Some(Event::Text(&text)));
    }
}

/// Where neither side keeps a context, a connection holds nothing of the machines behind a message: its thread does,
/// once for all of them.
#[test]
fn idle_connections_hold_no_machines() {
    let mut first = pair();
    talk(&mut first);
    let before = HELD.get();
    let mut pairs: Vec<_> = (0..100).map(|_| pair()).collect();
    pairs.iter_mut().for_each(talk);
    let each = (HELD.get() - before) / 200;
    assert!(each < 400, "{each} bytes a connection");
    assert_eq!(pairs[0][0].held_bytes() + pairs[0][1].held_bytes(), 0);
}

/// What peers have said, or a server has answered, is not in what a log shows of a connection.
#[test]
fn debug_tells_nothing_that_was_said() {
    let secret = "secret ".repeat(100);
    let (mut out, mut input) = (Vec::new(), Input::new());
    let [mut server, mut client] = pair();
    client.send(Message::Text(&secret), &mut out).unwrap();
    input.extend(&out);
    assert!(server.receive(&mut input, &mut Vec::new()).is_some());
    // Half of a message that is not compressed, and so lies here as it is.
    input.extend(b"\x01\x86\0\0\0\0secret");
    assert!(server.receive(&mut input, &mut Vec::new()).is_none());
    let mut deflater = salon_proto::deflate::Deflater::new(6);
    assert!(deflater.compress(secret.as_bytes(), 15).is_some());
    let mut history = salon_proto::deflate::History::new(15);
    let mut inflater = salon_proto::deflate::Inflater::new();
    let whole = deflater.compress(secret.as_bytes(), 15).unwrap().to_vec();
    inflater.inflate::<salon_proto::ProtocolError>(&whole, Some(&mut history), |_| Ok(())).unwrap();
    let head = b"HTTP/1.1 401 Unauthorized\r\nSet-Cookie: secret\r\nContent-Length: 6\r\n\r\n";
    let mut refused = Response::parse(head).unwrap().refused();
    assert_eq!(refused.take(b"secret"), 6);
    let shown = format!("{server:?} {input:?} {deflater:?} {history:?} {inflater:?} {refused:?}");
    for said in ["secret", "115, 101, 99, 114, 101, 116", &format!("{whole:?}")[1..20]] {
        assert!(!shown.contains(said), "{said} in {shown}");
    }
    assert!(shown.contains("status: 401"), "{shown}");
}
