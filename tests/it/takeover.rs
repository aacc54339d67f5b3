//! One Salon takes over from another: nobody is refused, nothing that was acknowledged is lost, and where it cannot,
//! the one that runs goes on.

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Lines, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::common::{Client, Folder, PATIENCE, Server, get, hear_with, joined, salon, say};
use crate::tls::Certificate;
use tungstenite::Message;
use tungstenite::stream::MaybeTlsStream;

/// A place for a store, a Unix socket for a proxy and one at which a Salon hands over.
struct House(Folder);

impl House {
    fn new(name: &str) -> Self {
        let folder = Folder::in_memory(&format!("takeover-{name}"));
        fs::create_dir_all(&folder.0).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.0.join(name).to_str().unwrap().to_owned()
    }

    /// The words of a Salon there, with these behind them.
    fn words(&self, more: &[&str]) -> Vec<String> {
        let (listen, door) = (format!("127.0.0.1:0,unix:{}", self.path("proxy.sock")), self.path("hand-over.sock"));
        let usual = ["serve", "--listen", &listen, "--admin", "127.0.0.1:0", "--hand-over", &door, "--rate", "off"];
        usual.iter().chain(&["--store", &self.0.file()]).chain(more).map(|word| (*word).to_owned()).collect()
    }

    fn serve(&self, more: &[&str]) -> Server {
        let words = self.words(more);
        Server::start(&words.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// One that cannot take over: what it says, with exit status 2.
    fn refused(&self, more: &[&str]) -> String {
        let words = self.words(more);
        let Output { status, stderr, .. } =
            salon(&words.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
        let said = String::from_utf8(stderr).unwrap();
        assert_eq!(status.code(), Some(2), "{said}");
        said.lines().last().unwrap_or_default().to_owned()
    }

    /// Somebody who speaks as a newcomer does: what is answered to the first word.
    fn newcomer(&self) -> (BufReader<UnixStream>, Vec<String>) {
        let stream = UnixStream::connect(self.path("hand-over.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // It may be answered before it has asked.
        let _ = (&stream).write_all(b"salon takes over 1\n");
        let mut reader = BufReader::new(stream);
        let mut lines = Vec::new();
        while lines.last().is_none_or(|line| line != "end" && line != "busy") {
            lines.push(word(&mut reader));
        }
        (reader, lines)
    }
}

/// A process that is no more where the test has failed.
struct Process(Child);

impl Process {
    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn log(&mut self) -> Lines<BufReader<ChildStderr>> {
        BufReader::new(self.0.stderr.take().expect("piped")).lines()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A newcomer whose predecessor is played by the test.
struct Met {
    process: Process,
    stream: BufReader<UnixStream>,
}

/// A newcomer, and the door of a predecessor that is played by the test, at which it knocks.
fn knocking(house: &House, more: &[&str]) -> (Process, UnixListener) {
    let door = UnixListener::bind(house.path("hand-over.sock")).unwrap();
    let words = house.words(more);
    let process = salon(&words.iter().map(String::as_str).collect::<Vec<_>>()).spawn().unwrap();
    door.set_nonblocking(true).unwrap();
    let (mut poll, mut events) = (mio::Poll::new().unwrap(), mio::Events::with_capacity(1));
    let mut polled = mio::net::UnixListener::from_std(door.try_clone().unwrap());
    poll.registry().register(&mut polled, mio::Token(0), mio::Interest::READABLE).unwrap();
    while events.is_empty() {
        let _ = poll.poll(&mut events, None);
    }
    door.set_nonblocking(false).unwrap();
    (Process(process), door)
}

/// The log of a newcomer, line by line.
struct Log(Lines<BufReader<ChildStderr>>);

impl Log {
    /// The next line with these words.
    fn with(&mut self, words: &str) -> String {
        let line = self.0.by_ref().map_while(Result::ok).find(|line| line.contains(words));
        line.unwrap_or_else(|| panic!("not said: {words}"))
    }

    /// Where it serves, as it says.
    fn address(&mut self) -> SocketAddr {
        let line = self.with("ws://");
        let (_, rest) = line.split_once("ws://").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    /// The newcomer serves, and ends as a server does.
    fn of_one_that_serves(mut self, mut process: Process, house: &House) {
        assert!(knock(self.address()).unwrap().starts_with("HTTP/1.1 200"));
        UnixStream::connect(house.path("proxy.sock")).expect("it listens there, too");
        house.newcomer();
        process.signal("TERM");
        self.0.map_while(Result::ok).for_each(drop);
        assert!(process.0.wait().unwrap().success());
    }
}

impl Met {
    /// One that has asked.
    fn new(house: &House) -> Self {
        let (process, door) = knocking(house, &["--takeover"]);
        let (stream, _) = door.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        fs::remove_file(house.path("hand-over.sock")).unwrap();
        let mut met = Self { process, stream: BufReader::new(stream) };
        assert_eq!(word(&mut met.stream), "salon takes over 1");
        met
    }

    /// Says a word; it may be gone.
    fn say(&self, word: &str) {
        let _ = writeln!(self.stream.get_ref(), "{word}");
    }

    /// Offers no socket: it binds them all.
    fn offer(&self) {
        self.say("salon hands over 1 7 1000 0\nend");
    }

    /// Whether a file of this name is open there.
    fn has_open(&self, name: &str) -> bool {
        let files = fs::read_dir(format!("/proc/{}/fd", self.process.0.id())).unwrap();
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|path| path.ends_with(name)))
    }

    /// Its last words, and its exit status.
    fn end(mut self) -> (Option<i32>, String) {
        let said = self.process.log().map_while(Result::ok).last();
        (self.process.0.wait().unwrap().code(), said.unwrap_or_default())
    }
}

/// The next line; nothing at the end, also where the other one has not read all.
fn word(reader: &mut BufReader<UnixStream>) -> String {
    let mut line = String::new();
    if let Err(error) = reader.read_line(&mut line) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    line.trim_end().to_owned()
}

/// The answer to a plain client: whole, or why there is none.
fn knock(address: SocketAddr) -> Result<String, String> {
    let mut stream = TcpStream::connect(address).map_err(|error| format!("refused: {error}"))?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked = stream.write_all(b"GET /health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    asked.map_err(|error| format!("not heard: {error}"))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| format!("not answered: {error}"))?;
    Ok(answer)
}

/// Says numbered words in a room, each again until it has come back, and comes back itself, until told to end; returns
/// how many have.
fn speak(address: SocketAddr, end: &AtomicBool, said: &AtomicU32) -> u32 {
    let mut client = None;
    for number in 0.. {
        if end.load(Ordering::SeqCst) {
            return number;
        }
        while !says(client.get_or_insert_with(|| come(address)), number) {
            client = None;
        }
        said.store(number + 1, Ordering::SeqCst);
    }
    unreachable!("there are fewer numbers than time")
}

fn come(address: SocketAddr) -> Client {
    let (mut client, _) = tungstenite::connect(format!("ws://{address}/ws?user=speaker")).expect("nobody is refused");
    let MaybeTlsStream::Plain(tcp) = client.get_mut() else { unreachable!("no TLS here") };
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    client.send(Message::text(r#"{"type":"join","room_id":"den"}"#)).unwrap();
    client
}

/// Whether the word has come back: then it is acknowledged.
fn says(client: &mut Client, number: u32) -> bool {
    let text = format!(r#"{{"type":"broadcast","room_id":"den","content":"word {number}.","id":"w{number}"}}"#);
    if client.send(Message::text(text)).is_err() {
        return false;
    }
    loop {
        match client.read() {
            Ok(Message::Text(text)) if text.contains(&format!("word {number}.")) => return true,
            Ok(Message::Close(_)) | Err(_) => return false,
            Ok(_) => {}
        }
    }
}

/// All words of the room, as a client hears them who has heard none.
fn kept(server: &Server, count: u32) -> Vec<u32> {
    let mut client = server.connect("/ws?user=reader");
    say(&mut client, r#"{"type":"join","room_id":"den"}"#);
    let joined = hear_with(&mut client, &[r#""type":"joined""#]);
    let epoch = joined.split(r#""epoch":""#).nth(1).and_then(|rest| rest.split('"').next()).expect("a room has one");
    let mut client = server.connect("/ws?user=reader");
    let since = format!(r#"{{"type":"join","room_id":"den","since":{{"epoch":"{epoch}","seq":0}}}}"#);
    say(&mut client, &since);
    let mut words = Vec::new();
    while words.len() < count as usize {
        let text = hear_with(&mut client, &["word "]);
        let numbers = text.split("word ").skip(1).filter_map(|rest| rest.split('.').next()?.parse::<u32>().ok());
        words.extend(numbers);
    }
    words
}

#[test]
fn nobody_is_refused_and_nothing_is_lost() {
    let house = House::new("whole");
    let mut first = house.serve(&[]);
    let (address, proxy) = (first.public, house.path("proxy.sock"));
    let (end, said, answered) = (AtomicBool::new(false), AtomicU32::new(0), AtomicU32::new(0));
    let (servers, count) = std::thread::scope(|scope| {
        let knocking: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !end.load(Ordering::SeqCst) {
                        let answer = knock(address).unwrap_or_else(|error| panic!("{error}"));
                        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                        answered.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        let speaking = scope.spawn(|| speak(address, &end, &said));
        let progress = || {
            let (heard, knocked) = (said.load(Ordering::SeqCst), answered.load(Ordering::SeqCst));
            while said.load(Ordering::SeqCst) < heard + 20 || answered.load(Ordering::SeqCst) < knocked + 20 {
                assert!(!speaking.is_finished() && knocking.iter().all(|knocker| !knocker.is_finished()));
                std::thread::yield_now();
            }
        };
        progress();
        let mut servers = Vec::new();
        let words = house.words(&["--takeover", "--max-connections", "10"]);
        let words: Vec<&str> = ["check"].into_iter().chain(words[1..].iter().map(String::as_str)).collect();
        let check = String::from_utf8(salon(&words).output().unwrap().stdout).unwrap();
        for place in ["listen: 127.0.0.1:0", &format!("listen: unix:{proxy}"), "admin: 127.0.0.1:0", "hand_over: unix:"]
        {
            let is_handed_over = |line: &str| {
                line.starts_with(&format!("ok       {place}"))
                    && line.ends_with(&format!("is handed over by process {}", first.pid()))
            };
            assert!(check.lines().any(is_handed_over), "{place}: {check}");
        }
        let let_go = format!("ok       store: it is let go by process {}", first.pid());
        assert!(check.lines().any(|line| line == let_go), "{check}");
        for _ in 0..2 {
            let next = house.serve(&["--takeover"]);
            assert_eq!(next.public, address, "{}", next.greeting);
            let ended = first.wait();
            assert!(ended.success(), "{ended}");
            assert!(Path::new(&proxy).exists(), "the file of a Unix socket is the next one's");
            UnixStream::connect(&proxy).expect("it listens there, too");
            progress();
            servers.push(std::mem::replace(&mut first, next));
        }
        end.store(true, Ordering::SeqCst);
        knocking.into_iter().for_each(|knocker| knocker.join().unwrap());
        (servers, speaking.join().unwrap())
    });
    assert_eq!(servers.len(), 2);
    assert_eq!(kept(&first, count), (0..count).collect::<Vec<_>>());
    first.signal("TERM");
    assert!(first.wait().success());
    assert!(
        !Path::new(&proxy).exists() && !Path::new(&house.path("hand-over.sock")).exists(),
        "the last one tidies up"
    );
}

/// By TLS, and where what is said is in memory alone: whoever comes while the port changes hands is served by one of
/// the two.
#[test]
fn whoever_comes_by_tls_is_served() {
    let (house, certificate) = (House::new("tls"), Certificate::new());
    let (chain, key, door) = (certificate.chain(), certificate.key(), house.path("hand-over.sock"));
    let serve = |more: &[&str]| {
        let tls =
            ["--tls-listen", "127.0.0.1:0", "--tls-cert", chain.to_str().unwrap(), "--tls-key", key.to_str().unwrap()];
        let usual = ["serve", "--listen", "off", "--admin", "127.0.0.1:0", "--hand-over", &door, "--store", "memory"];
        Server::start(&[&usual, &tls[..], more].concat())
    };
    let mut first = serve(&[]);
    let address = first.tls.unwrap();
    let (end, served) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        let knocking = scope.spawn(|| {
            while !end.load(Ordering::SeqCst) {
                let (mut stream, mut answer) = (certificate.stream(address), String::new());
                stream.write_all(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
                stream.read_to_string(&mut answer).expect("a whole answer, and the end of TLS behind it");
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
                served.fetch_add(1, Ordering::SeqCst);
            }
        });
        let progress = || {
            let before = served.load(Ordering::SeqCst);
            while served.load(Ordering::SeqCst) < before + 10 && !knocking.is_finished() {
                std::thread::yield_now();
            }
        };
        for _ in 0..3 {
            progress();
            let next = serve(&["--takeover"]);
            assert_eq!(next.tls, Some(address), "{}", next.greeting);
            assert!(std::mem::replace(&mut first, next).wait().success());
        }
        progress();
        end.store(true, Ordering::SeqCst);
        knocking.join().unwrap();
    });
}

/// Each row: the words of a newcomer, what it says, and whether the one that runs had let go of its clients by then.
#[test]
fn the_one_that_runs_goes_on_where_another_cannot_take_over() {
    let house = House::new("wrong");
    let server = house.serve(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let nowhere = house.path("no-such-folder/at/all/salon.db");
    fs::write(house.path("no-such-folder"), "a file").unwrap();
    let mut client = joined(&server, "ann", "den");
    say(&mut client, r#"{"type":"broadcast","room_id":"den","content":"word 0.","id":"w"}"#);
    hear_with(&mut client, &["word 0."]);
    for (words, sentence, let_go) in [
        (&["--takeover", "--auth", "jwt"][..], "--auth-key", false),
        (&["--takeover", "--listen", &taken], "another program listens there", false),
        (&["--takeover", "--open", "--listen", "0.0.0.0:0", "--message-bytes", "1"], "message-bytes", false),
        (&["--takeover", "--store", &nowhere], "no-such-folder", true),
    ] {
        let error = match let_go {
            false => house.refused(words),
            true => {
                let (store, others) = (words[2], &words[..1]);
                let mut words = house.words(others);
                let at = words.iter().position(|word| word == "--store").unwrap();
                words[at + 1] = store.to_owned();
                let output = salon(&words.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
                assert_eq!(output.status.code(), Some(2));
                let said = String::from_utf8(output.stderr).unwrap();
                said.lines().last().unwrap_or_default().to_owned()
            }
        };
        assert!(error.contains(sentence), "{words:?}: {error}");
        if let_go {
            hear_with(&mut client, &[r#""type":"goodbye""#]);
            server.logged("this one goes on");
            client = joined(&server, "ann", "den");
        }
        say(&mut client, r#"{"type":"ping"}"#);
        hear_with(&mut client, &[r#""type":"pong""#]);
    }
    assert_eq!(kept(&server, 1), [0]);
    assert_eq!(get(server.admin.unwrap(), "/readyz").0, 200);
    UnixStream::connect(house.path("proxy.sock")).expect("it listens there still");
    // And the next one that can does.
    let mut server = server;
    let next = house.serve(&["--takeover"]);
    assert!(server.wait().success());
    assert_eq!(kept(&next, 1), [0]);
}

/// One newcomer at a time; and one that ends amid it changes nothing but that clients have to come back.
#[test]
fn a_newcomer_may_end_at_any_word() {
    let house = House::new("ends");
    let server = house.serve(&[]);
    let (first, offer) = house.newcomer();
    let sockets =
        ["--listen 127.0.0.1:0", &format!("--listen unix:{}", house.path("proxy.sock")), "--admin 127.0.0.1:0"];
    assert_eq!(offer.len(), 1 + sockets.len() + 1 + 1, "{offer:?}");
    assert!(offer[0].starts_with(&format!("salon hands over 1 {} ", server.pid())), "{offer:?}");
    assert_eq!(offer[1..=sockets.len()], sockets);
    assert_eq!(house.newcomer().1, ["busy"]);
    let error = house.refused(&["--takeover"]);
    assert!(error.ends_with("another Salon is taking over there; wait until it has"), "{error}");
    drop(first);
    // Words of nobody: it is not heard any more. The end of the first may be noticed behind the next.
    let answer = || {
        let stream = UnixStream::connect(house.path("hand-over.sock")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut reader = BufReader::new(stream);
        // One that is busy may have said so and gone before this is written.
        let _ = writeln!(reader.get_ref(), "serves");
        word(&mut reader)
    };
    let mut answers = std::iter::repeat_with(answer).skip_while(|answer| answer == "busy");
    assert_eq!(answers.next().as_deref(), Some(""));

    // Before it takes, and behind that: the client is asked to come back, and can.
    for takes in [false, true] {
        let mut client = joined(&server, "ann", "den");
        let (mut reader, _) = house.newcomer();
        if takes {
            writeln!(reader.get_ref(), "take").unwrap();
            assert_eq!(word(&mut reader), "free");
        }
        drop(reader);
        if takes {
            hear_with(&mut client, &[r#""type":"goodbye""#]);
            server.logged("this one goes on");
            client = joined(&server, "ann", "den");
        }
        say(&mut client, r#"{"type":"ping"}"#);
        hear_with(&mut client, &[r#""type":"pong""#]);
        assert!(knock(server.public).unwrap().starts_with("HTTP/1.1 200"));
    }
}

/// A stop before it serves is the loss of a newcomer: the word by which the other one would end is not said.
#[test]
fn a_newcomer_that_is_told_to_stop_leaves_the_other_one_to_serve() {
    let house = House::new("stopped");
    // A file that there is, and that another program can hold.
    let mut server = house.serve(&[]);
    server.signal("TERM");
    assert!(server.wait().success());
    let lock = fs::File::open(format!("{}-lock", house.0.file())).unwrap();
    let is_let_go = || {
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
            && rustix::fs::flock(&lock, rustix::fs::FlockOperation::Unlock).is_ok()
    };

    for stop in ["TERM", "INT", "PWR"] {
        let mut met = Met::new(&house);
        met.process.signal(stop);
        met.offer();
        assert_eq!(word(&mut met.stream), "", "before the offer it takes nothing");
        let (status, said) = met.end();
        let words = said.contains("--takeover: ") && said.contains("stopped before it served; ");
        assert!(status == Some(2) && words && said.ends_with("goes on"), "{status:?} {said}");
    }
    let goes_on = "stopped before it served; process 7 goes on";

    let mut met = Met::new(&house);
    met.offer();
    assert_eq!(word(&mut met.stream), "take");
    met.process.signal("TERM");
    met.say("free");
    assert_eq!(word(&mut met.stream), "", "between take and free");
    let (status, said) = met.end();
    assert!(status == Some(2) && said.ends_with(goes_on), "{status:?} {said}");

    let mut met = Met::new(&house);
    met.offer();
    assert_eq!(word(&mut met.stream), "take");
    let mut other = rusqlite::Connection::open(house.0.file()).unwrap();
    let held = other.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    met.say("free");
    // It holds the store, and waits for the other program.
    while !met.has_open("salon.db-lock") {
        std::thread::yield_now();
    }
    met.process.signal("TERM");
    drop(held);
    assert_eq!(word(&mut met.stream), "", "while the store opens");
    assert!(is_let_go(), "whoever goes on can open the store");
    let (status, said) = met.end();
    assert!(status == Some(2) && said.ends_with(goes_on), "{status:?} {said}");

    // Another signal is for the loop, whenever it comes; and behind its word a stop is one of a server.
    let mut met = Met::new(&house);
    met.process.signal("HUP");
    met.offer();
    assert_eq!(word(&mut met.stream), "take");
    met.process.signal("HUP");
    met.say("free");
    assert_eq!(word(&mut met.stream), "serves");
    met.say("done");
    let mut log = met.process.log().map_while(Result::ok);
    assert!(log.any(|line| line.contains("settings read again")));
    met.process.signal("TERM");
    log.for_each(drop);
    assert_eq!(met.process.0.wait().unwrap().code(), Some(0));
}

/// The one that goes on opens the store again, once nobody has it any more.
#[test]
fn a_store_that_a_newcomer_holds_still_is_waited_for() {
    let house = House::new("held");
    let server = house.serve(&[]);
    let (mut reader, _) = house.newcomer();
    writeln!(reader.get_ref(), "take").unwrap();
    assert_eq!(word(&mut reader), "free");
    let lock = fs::File::options().create(true).append(true).open(format!("{}-lock", house.0.file())).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    drop(reader);
    server.logged("it is tried again");
    drop(lock);
    let mut client = joined(&server, "ann", "den");
    say(&mut client, r#"{"type":"ping"}"#);
    hear_with(&mut client, &[r#""type":"pong""#]);
}

/// The one that runs does not answer: a sentence, and it goes on when it can.
#[test]
fn one_that_hangs_is_not_waited_for() {
    let house = House::new("hangs");
    let server = house.serve(&[]);
    server.signal("STOP");
    let error = house.refused(&["--takeover"]);
    assert!(error.contains("has not answered within 5 s, and all is as it was; stop it, and start without"), "{error}");
    server.signal("CONT");
    assert!(knock(server.public).unwrap().starts_with("HTTP/1.1 200"));
    // Without the word the second one is refused as ever.
    let error = house.refused(&[]);
    assert!(error.contains("another program listens there"), "{error}");
}

/// Whatever the newcomer has said and heard, somebody serves behind the end of the one that runs.
#[test]
fn one_that_ends_while_another_comes_leaves_it_to_serve() {
    let house = House::new("went");
    // What it had when it ended: not heard that there is a newcomer; not what that has said; not answered it.
    for heard in ["nothing", "that somebody came", "all"] {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap().to_string();
        let (mut process, door) = knocking(&house, &["--takeover", "--listen", &listen]);
        let mut stream = (heard != "nothing").then(|| BufReader::new(door.accept().unwrap().0));
        if let Some(stream) = &mut stream {
            rustix::net::recv(stream.get_ref(), &mut [0], rustix::net::RecvFlags::PEEK).unwrap();
            if heard == "all" {
                assert_eq!(word(stream), "salon takes over 1");
            }
        }
        drop((stream, door));
        let mut log = Log(process.log());
        // The address is let go of behind that.
        log.with("another program listens there; stop it or choose another port; it is tried again");
        drop(taken);
        log.of_one_that_serves(process, &house);
    }
}

/// With its sockets it serves, once nobody has the store any more.
#[test]
fn one_that_ends_behind_its_offer_is_succeeded() {
    let house = House::new("offered");
    let mut server = house.serve(&[]);
    let (mut reader, _) = house.newcomer();
    server.signal("TERM");
    assert!(server.wait().success());
    assert_eq!(word(&mut reader), "");
    for name in ["proxy.sock", "hand-over.sock"] {
        assert!(Path::new(&house.path(name)).exists(), "{name} is that of whoever has its socket");
        fs::remove_file(house.path(name)).unwrap();
    }
    let mut met = Met::new(&house);
    met.offer();
    assert_eq!(word(&mut met.stream), "take");
    let lock = fs::File::open(format!("{}-lock", house.0.file())).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let Met { mut process, stream } = met;
    drop(stream);
    let mut log = Log(process.log());
    log.with("; it is tried again, for a Salon has ended in this moment");
    drop(lock);
    log.of_one_that_serves(process, &house);
}

/// Nobody runs there: it starts as without the word. A file that a killed one has left is no obstacle.
#[test]
fn where_nobody_runs_it_starts() {
    let house = House::new("nobody");
    for left in [false, true] {
        if left {
            drop(UnixListener::bind(house.path("hand-over.sock")).unwrap());
        }
        let mut server = house.serve(&["--takeover"]);
        assert!(server.greeting.contains("there is nothing to take over"), "{}", server.greeting);
        assert!(knock(server.public).unwrap().starts_with("HTTP/1.1 200"));
        server.signal("TERM");
        assert!(server.wait().success());
    }
    let output = salon(&["serve", "--listen", "127.0.0.1:0", "--takeover"]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), &*error),
        (Some(2), "salon: --takeover: expected --hand-over PATH, where the Salon that runs hands over, found none\n")
    );
}

/// Behind the file of a Salon that was killed, maybe in this moment, what another program has is tried eleven times,
/// not 101 times, and then the start is refused. What is free by then is taken.
#[test]
fn behind_the_file_of_a_killed_one_what_another_has_is_refused_soon() {
    let house = House::new("left");
    let leave = || drop(UnixListener::bind(house.path("hand-over.sock")));
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    let lock = fs::File::create(format!("{}-lock", house.0.file())).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    for (listen, held) in [(&*taken, "another program listens there"), ("127.0.0.2:0", "in use by another process")] {
        leave();
        let words = house.words(&["--takeover", "--log", "debug", "--listen", listen]);
        let output = salon(&words.iter().map(String::as_str).collect::<Vec<_>>()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let why = "; it is tried again, for a Salon may have been killed in this moment";
        assert_eq!(said.matches(why).count(), 1, "{said}");
        assert_eq!(said.lines().filter(|line| line.contains(held)).count(), 11, "{said}");
    }
    drop((other, lock));
    leave();
    let server = house.serve(&["--takeover", "--listen", &taken]);
    assert!(knock(server.public).unwrap().starts_with("HTTP/1.1 200"));
}
