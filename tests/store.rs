//! A server whose store works on a thread of its own, and takes its time: answers come by the waker, nobody else waits
//! for them, and a stop does.
//!
//! A binary of its own, because the loop runs in this process and takes its SIGINT, SIGTERM and SIGHUP. So all is one
//! test.

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use salon::backend::memory::Limits;
use salon::backend::{Backend, Memory, News, Overloaded, Request, Threaded, Waker};
use salon::server::forwarded::Proxies;
use salon::server::kernel::Handed;
use salon::server::operators::Operators;
use salon::server::reactor::Bounds;
use salon::server::serve::{self, HandedOver};
use salon::server::settings::{ProxyProtocol, Reading, Settings, Starter, State};
use salon::server::{Error, admission};
use salon::time::Moment;
use salon::{chat, engine};
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Message, WebSocket};

/// Longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the store does when it is polled.
#[derive(Clone, Copy, PartialEq)]
enum Gate {
    Open,
    Shut,
    Broken,
}

/// Keeps in memory what comes through its gate.
struct Gated {
    memory: Memory,
    gate: Arc<(Mutex<Gate>, Condvar)>,
}

impl Backend for Gated {
    fn ask(&mut self, request: Request<'_>) -> Result<(), Overloaded> {
        self.memory.ask(request)
    }

    fn tell_catalogue(&mut self) {
        self.memory.tell_catalogue();
    }

    fn poll(&mut self) -> Option<News<'_>> {
        let (gate, opened) = &*self.gate;
        let gate = opened.wait_while(gate.lock().unwrap(), |gate| *gate == Gate::Shut).unwrap();
        let broken = *gate == Gate::Broken;
        drop(gate);
        assert!(!broken, "as the test wants it");
        self.memory.poll()
    }

    fn is_idle(&self) -> bool {
        self.memory.is_idle()
    }

    fn expire(&mut self, now: Moment) -> bool {
        self.memory.expire(now)
    }

    fn keeps(&self) -> bool {
        self.memory.keeps()
    }

    fn durability(&self) -> &'static str {
        self.memory.durability()
    }

    fn about(&self) -> String {
        self.memory.about()
    }
}

struct Nobody;

impl Starter for Nobody {
    fn reload(&mut self) -> Result<Reading, String> {
        Err("nobody reloads".into())
    }

    fn in_force(&self) -> String {
        String::new()
    }

    fn note(&mut self, _: State<'_>) {}

    fn wants_to_hear_every(&self) -> Option<Duration> {
        None
    }
}

/// A server with a store on a thread.
struct House {
    address: SocketAddr,
    gate: Arc<(Mutex<Gate>, Condvar)>,
    loops: JoinHandle<Result<(), Error>>,
}

type Client = WebSocket<MaybeTlsStream<std::net::TcpStream>>;

impl House {
    fn opens(stop_within: Duration) -> Self {
        let gate = Arc::new((Mutex::new(Gate::Open), Condvar::new()));
        let of_store = gate.clone();
        let (address, loops) = run(stop_within, move |waker| {
            let gate = of_store.clone();
            let make = move |_| Ok(Gated { memory: Memory::new(Limits::default(), 1), gate });
            Ok(Box::new(Threaded::start(make, waker)?))
        });
        Self { address, gate, loops }
    }

    fn turn(&self, to: Gate) {
        *self.gate.0.lock().unwrap() = to;
        self.gate.1.notify_all();
    }

    fn client(&self, name: &str) -> Client {
        let (mut client, _) = tungstenite::connect(format!("ws://{}/ws?user={name}", self.address)).unwrap();
        let MaybeTlsStream::Plain(tcp) = client.get_mut() else { unreachable!("no TLS here") };
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(kind(&mut client), "welcome");
        client
    }
}

/// A server on a free port; it runs on a thread.
fn run(
    stop_within: Duration,
    store: impl FnMut(Waker) -> Result<Box<dyn Backend>, String> + Send + 'static,
) -> (SocketAddr, JoinHandle<Result<(), Error>>) {
    let public = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = public.local_addr().unwrap();
    let settings = Settings {
        listen: Vec::new(),
        tls_listen: Vec::new(),
        tls: None,
        admin_tls: None,
        redirect: Vec::new(),
        https_port: None,
        hsts: None,
        acme: None,
        proxy_protocol: ProxyProtocol::default(),
        hand_over: None,
        takes_over: false,
        admin: Vec::new(),
        operators: Operators::default(),
        pages: Default::default(),
        keys: None,
        bounds: Bounds {
            max_connections: 10,
            addresses: Some(admission::Limits::default()),
            proxies: Proxies::default(),
            memory: None,
            stop_after: Duration::ZERO,
            stop_within,
        },
        chat: chat::Settings::default(),
        engine: engine::Settings::default(),
    };
    let sockets = HandedOver { public: vec![Handed::Tcp(public)], ..HandedOver::default() };
    (address, std::thread::spawn(move || serve::run(settings, sockets, Nobody, store)))
}

fn says(client: &mut Client, text: &str) {
    client.send(Message::text(text)).unwrap();
}

/// The type of the next message, or the code of a Close.
fn kind(client: &mut Client) -> String {
    loop {
        match client.read().unwrap() {
            Message::Text(text) => {
                let text: serde_json::Value = serde_json::from_str(&text).unwrap();
                return text["type"].as_str().unwrap().into();
            }
            Message::Close(frame) => return u16::from(frame.unwrap().code).to_string(),
            _ => {}
        }
    }
}

fn terminate() {
    assert!(Command::new("kill").args(["-s", "TERM", &std::process::id().to_string()]).status().unwrap().success());
}

const JOIN: &str = r#"{"type":"join","room_id":"den"}"#;
const SAY: &str = r#"{"type":"broadcast","room_id":"den","content":"x","id":"a"}"#;

#[test]
fn a_store_that_takes_its_time() {
    let house = House::opens(Duration::from_secs(3600));
    let (mut ann, mut bob) = (house.client("ann"), house.client("bob"));
    // Nothing else happens: what is answered is answered because the store has woken the loop.
    for client in [&mut ann, &mut bob] {
        says(client, JOIN);
        assert_eq!([kind(client), kind(client)], ["joined", "online_users"]);
    }
    assert_eq!(kind(&mut ann), "user_joined");
    says(&mut ann, SAY);
    assert_eq!([kind(&mut ann), kind(&mut bob)], ["broadcast", "broadcast"]);
    // While the store does nothing, others are answered.
    house.turn(Gate::Shut);
    says(&mut ann, r#"{"type":"broadcast","room_id":"den","content":"last","id":"b"}"#);
    for client in [&mut ann, &mut bob] {
        says(client, r#"{"type":"ping"}"#);
        assert_eq!(kind(client), "pong");
    }
    // A stop waits for it: who has spoken is answered, and only then is everybody closed.
    terminate();
    for client in [&mut ann, &mut bob] {
        assert_eq!(kind(client), "goodbye");
    }
    says(&mut bob, r#"{"type":"ping"}"#);
    house.turn(Gate::Open);
    for client in [&mut ann, &mut bob] {
        assert_eq!([kind(client), kind(client)], ["broadcast", "1012"]);
    }
    drop((ann, bob));
    house.loops.join().unwrap().unwrap();

    // It does not wait for ever: half of the time is for answers, the rest for closing.
    let house = House::opens(Duration::from_secs(1));
    let mut ann = house.client("ann");
    house.turn(Gate::Shut);
    says(&mut ann, JOIN);
    says(&mut ann, r#"{"type":"ping"}"#);
    assert_eq!(kind(&mut ann), "pong");
    terminate();
    assert_eq!([kind(&mut ann), kind(&mut ann)], ["goodbye", "1012"]);
    let gate = house.gate.clone();
    house.loops.join().unwrap().unwrap();
    *gate.0.lock().unwrap() = Gate::Open;
    gate.1.notify_all();

    // A store that panics takes the server with it, and everybody is told.
    let house = House::opens(Duration::from_secs(1));
    let mut ann = house.client("ann");
    house.turn(Gate::Broken);
    says(&mut ann, JOIN);
    assert_eq!(kind(&mut ann), "1011");
    assert!(matches!(house.loops.join().unwrap(), Err(Error::Panicked)));

    // One that cannot be had is a sentence.
    let (_, loops) = run(Duration::from_secs(1), |_| Err("no such store".into()));
    assert!(matches!(loops.join().unwrap(), Err(Error::Store(sentence)) if sentence == "no such store"));
}
