//! `salon bench` over real sockets: figures that must be exact where the server is right, and faults that must be found
//! where it is wrong on purpose.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::{Server, free_address, get, salon};
use tungstenite::{Message, WebSocket};

/// `salon bench` with these arguments: exit status, standard output and standard error.
fn bench(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        salon(&[&["bench"], arguments].concat()).output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

/// The number with that name, where it first stands behind `part`.
fn figure(json: &str, part: &str, name: &str) -> f64 {
    let from = json.find(&format!("\"{part}\":{{")).unwrap_or_else(|| panic!("{part} in {json}"));
    let key = format!("\"{name}\":");
    let at = from + json[from..].find(&key).unwrap_or_else(|| panic!("{name} in {json}")) + key.len();
    let end = at + json[at..].find([',', '}']).expect("JSON goes on");
    json[at..end].parse().unwrap_or_else(|_| panic!("{name} in {json}"))
}

/// Messages sent, delivered, lost, doubled, out of order, damaged; connections closed.
fn faults(json: &str) -> [u64; 7] {
    ["sent", "delivered", "lost", "doubles", "out_of_order", "damaged", "closed"]
        .map(|name| figure(json, "load", name) as u64)
}

#[test]
fn everything_arrives_once_and_in_order() {
    let server = Server::serve(&["--rate", "off"]);
    let json_door = format!("ws://{}/ws", server.public);
    let plain_door = format!("ws://{}/ws/r{{room}}?username=u{{id}}", server.public);
    for (arguments, sent, delivered) in [
        (&["fan-out", "--url", &json_door, "-c", "20", "--messages", "50"][..], 50, 1000),
        (
            &[
                "fan-out",
                "--url",
                &json_door,
                "-c",
                "20",
                "--messages",
                "200",
                "--speakers",
                "4",
                "--pace",
                "saturated",
            ],
            200,
            4000,
        ),
        (
            &["fan-out", "--url", &json_door, "-c", "20", "--messages", "60", "--speakers", "3", "--pace", "500"],
            60,
            1200,
        ),
        (
            &["fan-out", "--url", &plain_door, "-c", "20", "--rooms", "4", "--speakers", "4", "--messages", "40"],
            40,
            200,
        ),
        (&["fan-out", "--url", &plain_door, "-c", "5", "--messages", "10", "--size", "16000"], 10, 50),
    ] {
        let (status, json, stderr) = bench(&[arguments, &["--json", "-q"]].concat());
        assert_eq!(status, 0, "{arguments:?}: {json}{stderr}");
        assert_eq!(faults(&json), [sent, delivered, 0, 0, 0, 0, 0], "{arguments:?}: {json}");
        assert_eq!(figure(&json, "load", "count") as u64, delivered, "each is timed: {json}");
        assert!(stderr.is_empty(), "{stderr}");
    }
}

/// A server that refuses messages is asked why.
#[test]
fn what_the_server_answers_instead_is_shown() {
    let server = Server::serve(&["--rate", "1:3"]);
    let url = format!("ws://{}/ws", server.public);
    let (status, table, _) = bench(&["fan-out", "--url", &url, "-c", "3", "--messages", "5", "-q"]);
    assert!(status == 1 && table.contains("This server has faults"), "{table}");
    assert!(table.contains("the server also said: {\"type\":\"error\",\"code\":\"rate_limited\""), "{table}");
}

#[test]
fn echoes_and_the_other_scenarios() {
    let server = Server::echo();
    let url = format!("ws://{}/", server.public);
    let (status, json, _) =
        bench(&["echo", "--url", &url, "-c", "7", "--depth", "3", "--messages", "500", "--binary", "--json"]);
    assert_eq!((status, faults(&json)), (0, [500, 500, 0, 0, 0, 0, 0]), "{json}");
    let (status, json, _) = bench(&["connect", "--url", &url, "-c", "30", "--json"]);
    assert_eq!((status, figure(&json, "opening", "count")), (0, 30.0), "{json}");

    let server = Server::serve(&["--rate", "off"]);
    let url = format!("ws://{}/ws", server.public);
    let (status, json, _) = bench(&["idle", "--url", &url, "-c", "30", "--seconds", "0.1", "--json"]);
    assert_eq!((status, figure(&json, "idle", "closed")), (0, 0.0), "{json}");
    let slow = ["--url", &url, "-c", "10", "--pace", "200", "--messages", "20", "--slow-readers", "2", "--json"];
    let (status, json, _) = bench(&[&["slow"], &slow[..]].concat());
    assert_eq!(status, 0, "{json}");
    let found = ["before", "slow"].map(|part| figure(&json, part, "delivered") as u64);
    assert_eq!(found, [160, 160], "20 messages to the eight that read, twice: {json}");

    let (status, table, _) = bench(&["fan-out", "--url", &url, "-c", "3", "--messages", "5"]);
    assert!(status == 0 && table.contains("5 said, 15 of 15 delivered; 0 lost, 0 doubles"), "{table}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_process_is_looked_at() {
    let server = Server::serve(&["--rate", "off"]);
    let (url, pid) = (format!("ws://{}/ws", server.public), server.pid().to_string());
    let (status, json, _) =
        bench(&["fan-out", "--url", &url, "-c", "10", "--messages", "300", "--pid", &pid, "--json"]);
    assert_eq!(status, 0, "{json}");
    assert!(figure(&json, "load", "cpu_us_each") > 0.0 && figure(&json, "memory", "open") > 1e6, "{json}");
    let (status, _, stderr) = bench(&["fan-out", "--url", &url, "--pid", "4294967295"]);
    assert!(status == 2 && stderr.contains("--pid 4294967295"), "{stderr}");
}

/// The fault of a server of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// The last member does not get the third message.
    Drops,
    /// The last member gets the third message twice.
    Doubles,
    /// The last member gets the third message after the fourth.
    Swaps,
    /// The last member gets the third message with a byte changed.
    Damages,
    /// The last member is closed at the third message.
    Closes,
}

/// A chat server of one room for so many members, that answers the first message of each and passes on all others.
fn chat(members: usize, wrong: Wrong) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let room: Arc<Mutex<Vec<WebSocket<TcpStream>>>> = Arc::default();
        let mut streams = Vec::new();
        for _ in 0..members {
            let stream = listener.accept().unwrap().0;
            let mut socket = tungstenite::accept(stream).unwrap();
            assert_eq!(socket.read().unwrap(), Message::text(format!("join {}", streams.len())));
            socket.send(Message::text("you are in")).unwrap();
            streams.push(socket.get_ref().try_clone().unwrap());
            room.lock().unwrap().push(socket);
        }
        // One speaker: the first to come.
        let mut count = 0;
        let mut held = None;
        loop {
            let heard = room.lock().unwrap()[0].read();
            let message = match heard {
                Ok(message @ Message::Text(_)) => message,
                Ok(Message::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => break,
                Ok(_) => continue,
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => panic!("{error}"),
            };
            count += 1;
            let mut room = room.lock().unwrap();
            let (last, others) = room.split_last_mut().unwrap();
            for member in others {
                member.send(message.clone()).unwrap();
            }
            let third = count == 3;
            let said = match (wrong, third) {
                (Wrong::Drops, true) => vec![],
                (Wrong::Doubles, true) => vec![message.clone(), message],
                (Wrong::Swaps, true) => {
                    held = Some(message);
                    vec![]
                }
                (Wrong::Damages, true) => vec![Message::text(message.into_text().unwrap().replace('y', "z"))],
                (Wrong::Closes, true) => {
                    let _ = last.close(None);
                    let _ = last.flush();
                    vec![]
                }
                _ => [Some(message), held.take()].into_iter().flatten().collect(),
            };
            for message in said {
                // After a Close nobody hears it.
                let sent = last.send(message);
                assert!(sent.is_ok() || wrong == Wrong::Closes, "{sent:?}");
            }
        }
        // The others say goodbye as well.
        for member in room.lock().unwrap().iter_mut() {
            let _ = member.get_ref().set_read_timeout(Some(Duration::from_secs(5)));
            while member.read().is_ok() {}
        }
    });
    address
}

#[test]
fn a_server_that_is_wrong_is_found_out() {
    // Five messages to three members are 15 deliveries.
    for (wrong, status, expected) in [
        (Wrong::Nothing, 0, [5, 15, 0, 0, 0, 0, 0]),
        (Wrong::Drops, 1, [5, 14, 1, 0, 0, 0, 0]),
        (Wrong::Doubles, 1, [5, 15, 0, 1, 0, 0, 0]),
        (Wrong::Swaps, 1, [5, 15, 0, 0, 1, 0, 0]),
        (Wrong::Damages, 1, [5, 14, 1, 0, 0, 1, 0]),
        (Wrong::Closes, 1, [5, 12, 3, 0, 0, 0, 1]),
    ] {
        let url = format!("ws://{}/", chat(3, wrong));
        let arguments = [
            &["fan-out", "--url", &url, "-c", "3", "--join", "join {id}", "--joined", "you are in"][..],
            // In flight one at a time, so that members come in the order of their numbers.
            &["--in-flight", "1", "--message", "say {body}!", "--messages", "5", "--pace", "saturated", "--json", "-q"],
        ]
        .concat();
        let (found, json, stderr) = bench(&arguments);
        assert_eq!((found, faults(&json)), (status, expected), "{wrong:?}: {json}{stderr}");
    }
}

#[test]
fn what_cannot_be_done_is_said_in_a_sentence() {
    let nobody = free_address();
    let server = Server::serve(&[]);
    let url = |address: SocketAddr, path: &str| format!("ws://{address}{path}");
    for (arguments, part) in [
        (&["fan-out", "--url", &url(nobody, "/ws")][..], "nobody listens on"),
        (&["fan-out", "--url", &url(server.public, "/nowhere")], "status 404: {\"error\":\"nothing is here"),
        (&["fan-out", "--url", &url(server.public, "/ws"), "--header", "Origin: http://evil"], "status 403: "),
        (&["fan-out", "--url", &url(server.public, "/ws"), "--header", "Host: x"], "sets itself"),
        (&["fan-out", "--url", &url(server.admin.unwrap(), "/ws"), "-c", "1"], "status 404"),
        (&["slow"], "--pace"),
        (&["fan-out", "--url", "wss://localhost/"], "TLS"),
    ] {
        let (status, stdout, stderr) = bench(&[arguments, &["-q"]].concat());
        assert!(status == 2 && stdout.is_empty() && stderr.contains(part), "{arguments:?}: {stderr}");
        assert!(stderr.starts_with("salon: ") && stderr.lines().count() == 1, "{stderr}");
    }
}

#[test]
fn a_storm_counts_who_is_refused() {
    let server = Server::serve(&["--max-connections", "5"]);
    let url = format!("ws://{}/ws", server.public);
    let (status, json, error) = bench(&["connect", "--url", &url, "-c", "20", "--json", "-q"]);
    assert_eq!(status, 1, "{json}{error}");
    assert_eq!(figure(&json, "opening", "refused"), 15.0, "{json}");
    assert!(json.contains("status 503"), "{json}");
}

/// Each kind of flood is tried, and the neighbour stays.
#[test]
fn a_neighbour_is_heard_beside_each_flood() {
    let server = Server::serve(&[]);
    let url = format!("ws://{}/ws?user=u{{id}}", server.public);
    let arguments = ["neighbour", "--url", &url, "-c", "2", "--seconds", "0.1", "--watchers", "5", "--json", "-q"];
    let (status, json, error) = bench(&arguments);
    assert_eq!(status, 0, "{json}{error}");
    let report: serde_json::Value = serde_json::from_str(&json).unwrap();
    let rows = report["neighbour"].as_array().unwrap();
    assert_eq!(rows.len(), 10, "{json}");
    assert!(rows.iter().all(|row| row["latency"]["count"].as_u64() > Some(0)), "{json}");
    assert_eq!(rows[9]["ended"], 5, "{json}");
}

/// The server ends at any time, or refuses messages: a report with the ended connections, or a sentence; never a panic.
#[test]
fn a_server_that_ends_is_told() {
    let told = |arguments: &[&str], dies: bool| {
        let server = Server::serve(&[]);
        let url = format!("ws://{}/ws", server.public);
        let (admin, pid) = (server.admin.unwrap(), server.pid().to_string());
        let (status, stdout, stderr) = std::thread::scope(|scope| {
            scope.spawn(|| {
                while dies && !get(admin, "/metrics").1.contains("\nsalon_sessions 20\n") {
                    std::thread::yield_now();
                }
                if dies {
                    assert!(std::process::Command::new("kill").args(["-s", "KILL", &pid]).status().unwrap().success());
                }
            });
            bench(&[arguments, &["--url", &url, "-q"]].concat())
        });
        assert!(status == 1 || status == 2, "{arguments:?}: {status} {stdout} {stderr}");
        assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    };
    // Each waits most of its time, so they do that at once.
    std::thread::scope(|rows| {
        for (arguments, dies) in [
            (&["fan-out", "-c", "20", "--seconds", "2"][..], true),
            (&["slow", "-c", "20", "--pace", "100", "--seconds", "1"], true),
            (&["echo", "-c", "20", "--seconds", "2"], true),
            (&["idle", "-c", "20"], true),
            (&["neighbour", "-c", "12", "--seconds", "1"], true),
            (&["fan-out", "-c", "20", "--seconds", "1", "--size", "66000"], false),
            (&["slow", "-c", "20", "--pace", "100", "--seconds", "1", "--size", "66000"], false),
        ] {
            rows.spawn(move || told(arguments, dies));
        }
    });
}

/// The number of connections is bounded: a limit that nothing can raise is reported before anything is opened.
#[cfg(unix)]
#[test]
fn too_few_descriptors_are_said() {
    let command = format!("ulimit -n 256 && exec '{}' bench idle -c 1000", env!("CARGO_BIN_EXE_salon"));
    let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("--connections 1000: that takes 1192 descriptors, and the limit is 256"), "{stderr}");
}
