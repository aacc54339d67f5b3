//! The memory budget over real sockets: clients that are refused or cut off, others that notice nothing, and its end.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::common::{Client, PATIENCE, Server, get, hear_with, say};

/// Asks until the answer is as it must become.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn metric(server: &Server, name: &str) -> f64 {
    let (_, page) = get(server.admin.unwrap(), "/metrics");
    let line = page.lines().find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')));
    line.unwrap_or_else(|| panic!("no {name}")).rsplit(' ').next().unwrap().parse().unwrap()
}

/// A client of the chat that will send a message of 1 MiB.
fn guest(server: &Server, number: usize) -> TcpStream {
    let mut stream = server.tcp();
    let head = format!(
        "GET /ws?user=guest{number} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        server.public
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    stream
}

/// A part of that message. The masking key is zero: the bytes on the wire are the text.
fn begin_message(stream: &mut TcpStream) {
    let mut frame = vec![0x81, 0xff];
    frame.extend((1_u64 << 20).to_be_bytes());
    frame.extend([0; 4]);
    frame.resize(frame.len() + PART, b'x');
    stream.write_all(&frame).unwrap();
}

const PART: usize = 100_000;

fn ready(server: &Server) -> (u16, String) {
    let (status, answer) = get(server.admin.unwrap(), "/readyz");
    (status, answer.split("\r\n\r\n").nth(1).unwrap().to_owned())
}

fn alice(server: &Server) -> Client {
    let mut alice = server.connect("/ws?user=alice");
    say(&mut alice, r#"{"type":"join","room_id":"lobby","id":0}"#);
    hear_with(&mut alice, &["joined"]);
    alice
}

/// Says something and hears it come back.
fn chats(alice: &mut Client, id: usize) {
    say(alice, &format!(r#"{{"type":"broadcast","room_id":"lobby","content":"all is well","id":{id}}}"#));
    hear_with(alice, &[&format!("\"id\":{id},"), "all is well"]);
}

#[test]
fn near_the_budget_new_clients_wait_and_the_largest_go() {
    let server = Server::serve(&["--memory", "16MiB", "--message-bytes", "1MiB"]);
    let mut alice = alice(&server);
    let mut guests: Vec<TcpStream> = (0..200).map(|number| guest(&server, number)).collect();
    assert_eq!(ready(&server), (200, "ok\n".into()));
    assert_eq!(metric(&server, "salon_memory_budget_bytes"), f64::from(16 << 20));
    let cut = || metric(&server, "salon_cut_off_total{reason=\"memory\"}");
    let mut begun = 0;
    let mut begin_one = || {
        begin_message(&mut guests[begun]);
        begun += 1;
        let all = (begun * PART) as f64;
        let receiving = || metric(&server, "salon_memory_bytes{purpose=\"receiving\"}");
        until("it has come", || (receiving() >= all || cut() > 0.0).then_some(()));
    };

    // One of them takes a hundredth of the budget or two; there are five between the marks.
    while ready(&server).0 == 200 {
        begin_one();
    }
    assert_eq!(ready(&server), (503, "near the memory budget\n".into()));
    let (status, answer) = get(server.public, "/ws");
    assert!(status == 503 && answer.contains("\r\nRetry-After: "), "{answer}");
    assert_eq!(get(server.admin.unwrap(), "/livez").0, 200);
    chats(&mut alice, 1);
    assert_eq!(cut(), 0.0);
    assert!(metric(&server, "salon_refused_total{reason=\"memory\"}") >= 1.0);

    while cut() == 0.0 {
        begin_one();
    }
    until("those who are cut off are closed with 1013", || {
        (metric(&server, "salon_closes_total{code=\"1013\"}") == cut()).then_some(())
    });
    assert!(cut() <= 16.0, "{} of {begun} were cut off", cut());
    chats(&mut alice, 2);

    // Clients that go leave room, and all is as before.
    drop(guests.drain(..begun / 2));
    until("there is room again", || (ready(&server).0 == 200).then_some(()));
    drop(server.connect("/ws?user=bob"));
    chats(&mut alice, 3);
    // A client that was silent all the while is still there.
    let idle = guests.last_mut().unwrap();
    idle.write_all(&[0x89, 0x80, 0, 0, 0, 0]).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(&[0x8a, 0]) {
        let mut byte = [0];
        idle.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
}

#[test]
fn history_goes_before_anybody_does() {
    let server = Server::serve(&["--memory", "16MiB", "--history", "100000", "--rate", "off"]);
    let mut alice = alice(&server);
    let content = "x".repeat(16_000);
    for id in 0..1100 {
        say(&mut alice, &format!(r#"{{"type":"broadcast","room_id":"lobby","content":"{content}","id":{id}}}"#));
        hear_with(&mut alice, &[&format!("\"id\":{id},")]);
    }
    assert!(metric(&server, "salon_history_let_go_total{limit=\"memory\"}") > 100.0);
    let history = metric(&server, "salon_memory_bytes{purpose=\"history\"}");
    assert!((8e6..13.5e6).contains(&history), "{history}");
    assert_eq!(ready(&server).0, 200);
    assert_eq!(metric(&server, "salon_refused_total{reason=\"memory\"}"), 0.0);
    // The missing messages are named.
    say(&mut alice, r#"{"type":"history","room_id":"lobby","after":1,"limit":1,"id":"h"}"#);
    hear_with(&mut alice, &["\"history\"", "\"gap\""]);
}
