//! The binary as a child process, for tests over real sockets.

pub mod bytes;
pub mod cases;
pub mod rows;
pub mod script;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// A client that was written elsewhere.
pub type Client = WebSocket<MaybeTlsStream<TcpStream>>;

/// How long a test waits for anything that must happen; no test asserts how fast it is.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// An address of this machine where nobody listens: not one of those that the system gives to who asks for any, which
/// another test may be given at any moment.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let port = 20_000 + (std::process::id() * 7 + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let address = SocketAddr::from(([127, 0, 0, 1], port as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

/// A running `salon`, ended when it is dropped.
pub struct Server {
    child: Child,
    pub public: SocketAddr,
    pub admin: Option<SocketAddr>,
    pub tls: Option<SocketAddr>,
    /// What it says at its start.
    pub greeting: String,
    /// The lines that it logs after its start.
    log: mpsc::Receiver<String>,
}

impl Server {
    /// `salon serve` on free ports with these further arguments.
    pub fn serve(arguments: &[&str]) -> Self {
        let usual = [["--listen", "127.0.0.1:0"], ["--admin", "127.0.0.1:0"], ["--log", "warn"]];
        let unsaid = usual.iter().filter(|[option, _]| !arguments.contains(option)).flatten().copied();
        Self::start(&["serve"].into_iter().chain(unsaid).chain(arguments.iter().copied()).collect::<Vec<_>>())
    }

    /// `salon echo` on a free port.
    pub fn echo() -> Self {
        Self::start(&["echo", "--listen", "127.0.0.1:0", "--log", "warn"])
    }

    /// The binary with these arguments, when it has said where it listens.
    pub fn start(arguments: &[&str]) -> Self {
        Self::run(&mut salon(arguments))
    }

    /// That command, when it has said where it listens.
    pub fn run(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let (mut public, mut admin, mut tls, mut greeting) = (None, None, None, String::new());
        for line in lines.by_ref().map_while(Result::ok) {
            let address = |schemes: [&str; 2]| {
                schemes.iter().find_map(|scheme| {
                    let rest = &line[line.find(scheme)? + scheme.len()..];
                    rest[..rest.find('/')?].parse::<SocketAddr>().ok()
                })
            };
            greeting.extend([&line, "\n"]);
            if line.contains("admin") {
                admin = admin.or(address(["https://", "http://"]));
            } else {
                tls = tls.or(address(["wss://", "https://"]));
                public = address(["ws://", "http://"]).or(public);
            }
            if line.contains("Ctrl-C") {
                break;
            }
        }
        // Later lines are read, so that it never waits for the pipe, and shown.
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            lines.map_while(Result::ok).for_each(|line| {
                eprintln!("{line}");
                let _ = sender.send(line);
            });
        });
        let public = public.or(tls).or(admin).unwrap_or_else(|| panic!("no address is said: {greeting}"));
        Self { child, public, admin, tls, greeting, log }
    }

    /// Waits for a line of the log with these words.
    pub fn logged(&self, words: &str) -> String {
        loop {
            let line = self.log.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("not logged: {words}"));
            if line.contains(words) {
                return line;
            }
        }
    }

    /// A WebSocket client at that path and query.
    pub fn connect(&self, target: &str) -> Client {
        let (mut client, _) = tungstenite::connect(format!("ws://{}{target}", self.public)).expect("the door opens");
        match client.get_mut() {
            MaybeTlsStream::Plain(tcp) => tcp.set_read_timeout(Some(PATIENCE)).unwrap(),
            _ => unreachable!("no TLS here"),
        }
        client
    }

    /// A TCP connection to the public port.
    pub fn tcp(&self) -> TcpStream {
        tcp(self.public)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// The text of that file of the process in `/proc`.
    pub fn proc(&self, file: &str) -> String {
        std::fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).unwrap()
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder of its own, which goes with this.
pub struct Folder(pub PathBuf);

impl Folder {
    /// Of this name, which no other test uses. It is there when something is put into it.
    pub fn new(name: &str) -> Self {
        Self::at(std::env::temp_dir(), name)
    }

    /// The same, in memory if that can be: what is on a disk there matters to nobody.
    pub fn in_memory(name: &str) -> Self {
        let memory = PathBuf::from("/dev/shm");
        Self::at(if memory.is_dir() { memory } else { std::env::temp_dir() }, name)
    }

    fn at(place: PathBuf, name: &str) -> Self {
        let folder = place.join(format!("salon-it-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        Self(folder)
    }

    /// A store in it.
    pub fn file(&self) -> String {
        self.0.join("salon.db").to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The binary with its output caught, and no settings from the environment but that it keeps messages in memory.
pub fn salon(arguments: &[&str]) -> Command {
    // For measurements: another build of it.
    let binary = std::env::var_os("BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_salon").into());
    let mut command = Command::new(binary);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    apart(&mut command);
    // For another store than that in memory: an own one for each server.
    if let Ok(store) = std::env::var("TEST_STORE") {
        static STORES: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("t{}-{}", std::process::id(), STORES.fetch_add(1, Ordering::Relaxed));
        command.env("SALON_STORE", store).env("SALON_STORE_PREFIX", prefix);
    }
    command
}

/// Keeps a command that runs the binary apart from whoever runs the tests: from their settings, and from the file in
/// which their own Salon keeps messages.
pub fn apart(command: &mut Command) -> &mut Command {
    std::env::vars().filter(|(key, _)| key.starts_with("SALON_")).for_each(|(key, _)| {
        command.env_remove(key);
    });
    command.env("SALON_STORE", "memory")
}

/// A TCP connection that waits for answers with patience.
pub fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends bytes and reads until the server ends the connection.
pub fn exchange(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = tcp(address);
    stream.write_all(bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// A GET that closes; the status and the whole answer.
pub fn get(address: SocketAddr, target: &str) -> (u16, String) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let answer = String::from_utf8(exchange(address, request.as_bytes())).unwrap();
    (status(&answer), answer)
}

/// A metric, whose name may have a label.
pub fn metric(admin: SocketAddr, name: &str) -> u64 {
    let (_, metrics) = get(admin, "/metrics");
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name}: {metrics}"))
}

/// The status code of a response.
pub fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("no status: {answer:?}"))
}

/// The next message. A read with a timeout ends also when this process was stopped for a moment, and is tried again.
pub fn read(client: &mut Client) -> tungstenite::Result<Message> {
    loop {
        match client.read() {
            Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The next text message.
pub fn hear(client: &mut Client) -> String {
    loop {
        match read(client).expect("a message") {
            Message::Text(text) => return text.to_string(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("a text was expected, not {other:?}"),
        }
    }
}

/// The next text message that contains all of these.
pub fn hear_with(client: &mut Client, parts: &[&str]) -> String {
    loop {
        let text = hear(client);
        if parts.iter().all(|part| text.contains(part)) {
            return text;
        }
    }
}

/// Sends a text.
pub fn say(client: &mut Client, text: &str) {
    client.send(Message::text(text)).expect("the socket takes it");
}

/// A client of this name that is in a room, and has heard all of coming in.
pub fn joined(server: &Server, name: &str, room: &str) -> Client {
    let mut client = server.connect(&format!("/ws?user={name}"));
    hear(&mut client);
    say(&mut client, &format!(r#"{{"type":"join","room_id":"{room}"}}"#));
    hear_with(&mut client, &[r#""type":"online_users""#]);
    client
}

/// The status code of the Close that ends the connection; other messages are passed over.
pub fn close_code(client: &mut Client) -> u16 {
    loop {
        match read(client) {
            Ok(Message::Close(frame)) => return frame.map_or(1005, |frame| frame.code.into()),
            Ok(_) => {}
            Err(error) => panic!("ended without Close: {error}"),
        }
    }
}
