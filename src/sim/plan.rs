//! What a seed draws before anything happens: which faults there are and how often, how many clients, how small the
//! limits are. Most seeds have few kinds of faults, so that each is met alone and with each other one (swarm testing).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crate::backend::memory;
use crate::chat;
use crate::engine;
use crate::proto;
use crate::server::admission;
use crate::server::forwarded::Proxies;
use crate::server::operators::Operators;
use crate::server::pages::Pages;
use crate::server::reactor::Bounds;
use crate::server::settings::{ProxyProtocol, Settings, usual_engine};

use super::chance::Chance;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Bytes are long on the way.
    Delay,
    /// Bytes come in pieces, down to one.
    Pieces,
    /// Clients stop reading for a while.
    Stall,
    /// Connections are reset.
    Reset,
    /// Clients are gone without a word.
    Vanish,
    /// The system accepts no connection for want of descriptors.
    Accept,
    /// The store answers late.
    Late,
    /// The store fails.
    Fail,
    /// The process is killed.
    Crash,
    /// The machine loses power.
    Power,
    /// The process stands still.
    Freeze,
    /// The wall clock jumps.
    Wall,
    /// The operator kicks.
    Kick,
    /// The operator bans.
    Ban,
    /// The server is stopped in order, and started again.
    Drain,
    /// The settings are read again.
    Reload,
    /// Clients break the protocol.
    Hostile,
    /// Clients send as much as they can.
    Flood,
    /// Memory is short of what is wanted.
    Memory,
    /// Redis answers a node late, or its words come late.
    RedisLate,
    /// Redis is away: it refuses connections, or stands still.
    RedisAway,
    /// Redis is started again, with all, with less or with nothing; or it loses all, or its scripts, while it runs.
    RedisLost,
    /// Redis has no more memory.
    RedisFull,
    /// The channel of a node is cut.
    Cut,
    /// It looks alive, and brings nothing.
    Deaf,
    /// A node cannot reach Redis.
    CutOff,
}

impl Fault {
    /// All of them, and their words for the command line.
    pub const ALL: [(Self, &'static str); 19] = [
        (Self::Delay, "delay"),
        (Self::Pieces, "pieces"),
        (Self::Stall, "stall"),
        (Self::Reset, "reset"),
        (Self::Vanish, "vanish"),
        (Self::Accept, "accept"),
        (Self::Late, "late"),
        (Self::Fail, "fail"),
        (Self::Crash, "crash"),
        (Self::Power, "power"),
        (Self::Freeze, "freeze"),
        (Self::Wall, "wall"),
        (Self::Kick, "kick"),
        (Self::Ban, "ban"),
        (Self::Drain, "drain"),
        (Self::Reload, "reload"),
        (Self::Hostile, "hostile"),
        (Self::Flood, "flood"),
        (Self::Memory, "memory"),
    ];

    /// Those that nodes have beside these.
    pub const OF_NODES: [(Self, &'static str); 7] = [
        (Self::RedisLate, "redis-late"),
        (Self::RedisAway, "redis-away"),
        (Self::RedisLost, "redis-lost"),
        (Self::RedisFull, "redis-full"),
        (Self::Cut, "cut"),
        (Self::Deaf, "deaf"),
        (Self::CutOff, "cut-off"),
    ];

    /// Whether nodes on Redis have it, and one server has not.
    pub fn is_of_nodes(self) -> bool {
        Self::OF_NODES.iter().any(|(fault, _)| *fault == self)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::all().find(|(fault, _)| *fault == self).expect("all are listed").1
    }

    /// The fault of a word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::all().find(|(_, known)| *known == word).map(|(fault, _)| fault)
    }

    /// All of both kinds.
    pub fn all() -> impl Iterator<Item = (Self, &'static str)> {
        Self::ALL.into_iter().chain(Self::OF_NODES)
    }
}

/// How long what is acknowledged lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// As long as the process.
    Memory,
    /// As long as the machine runs.
    Process,
    /// Over a loss of power.
    Power,
}

impl Lasts {
    /// The word of `welcome.durability`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Process => "process",
            Self::Power => "power",
        }
    }
}

/// How many nodes there are on one Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nodes {
    /// So many.
    These(usize),
    /// As many as the seed draws.
    Any,
}

/// What is asked for beside the seed.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// At most so many clients.
    pub clients: Option<usize>,
    /// None but these faults.
    pub faults: Option<Vec<Fault>>,
    /// Faults for at most so many seconds.
    pub seconds: Option<u64>,
    /// Nodes on one Redis.
    pub nodes: Option<Nodes>,
    /// What happens is drawn from these bytes, two for each number, and only then from the seed.
    pub tape: Vec<u8>,
}

impl Wish {
    /// As many nodes as a plan has.
    pub fn of_nodes(plan: &Plan) -> Self {
        Self { nodes: (plan.nodes > 0).then_some(Nodes::These(plan.nodes)), ..Self::default() }
    }
}

/// What is drawn.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed.
    pub seed: u64,
    /// The faults, each with how often: once in so many occasions, or how many there are.
    faults: Vec<(Fault, u64)>,
    /// Nodes on one Redis; 0: one server, with a store of its own.
    pub nodes: usize,
    /// Clients that keep to the protocol.
    pub clients: usize,
    /// Names that these have: fewer than there are clients, so that users have devices.
    pub people: usize,
    /// Rooms.
    pub rooms: usize,
    /// How often a client does something, in microseconds between two times.
    pub pause: u64,
    /// How long a turn of the server takes at most, in microseconds.
    pub turn: u64,
    /// How many connections are reported to a turn at most.
    pub at_once: usize,
    /// How long there are faults, in microseconds.
    pub faulty: u64,
    /// How long it may take until all is well again, in microseconds.
    pub healing: u64,
    /// The time from one end to the other, in microseconds.
    pub latency: u64,
    /// Bytes that are on the way to a client, or in its system.
    pub window: usize,
    /// How long an acknowledged message lasts.
    pub lasts: Lasts,
    /// What the store keeps.
    pub kept: memory::Limits,
    /// Requests that wait for the store at most.
    pub store_queue: usize,
    /// The settings of the server.
    pub settings: Settings,
    /// Whether clients stand behind a proxy that speaks the PROXY protocol.
    pub proxied: bool,
    /// What some of the clients do that others do not.
    pub ways: Ways,
    /// What is drawn first while it runs.
    pub tape: Vec<u8>,
}

/// What some clients do, or are, and others not: each is in a third of the seeds.
#[derive(Clone, Debug, Default)]
pub struct Ways {
    /// One client in so many only listens; 0: none.
    quiet: u64,
    /// One in so many offers permessage-deflate.
    deflate: u64,
    /// One user in so many hides.
    hides: u64,
    /// One client in so many asks faster than it may, and comes back as if that helped.
    hasty: u64,
    /// Clients that speak the plain dialect.
    pub plain: usize,
    /// Clients come with tokens, which hold for so many seconds at most; 0: without.
    pub tokens: u64,
}

/// What one client does of these.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// It only listens.
    pub quiet: bool,
    /// It offers permessage-deflate, with a window of the server of so many bits.
    pub deflate: Option<u8>,
    /// It asks faster than it may.
    pub hasty: bool,
}

impl Ways {
    fn draw(seed: u64, faults: &[(Fault, u64)]) -> Self {
        // From numbers of its own: what else a seed draws is as it was before there were ways.
        let c = &mut Chance::new(seed ^ 0x003a_7e55_0fd0_1465);
        let mut one_in = |most| if c.one_in(3) { c.within(1, most) } else { 0 };
        let (quiet, deflate, hides, hasty, plain) = (one_in(4), one_in(3), one_in(3), one_in(4), one_in(5));
        let tokens = one_in(120);
        // The wall clock judges tokens, and what becomes of them when it jumps is for no model that knows one clock.
        // The plain door has no word for a token that has ended.
        let wall = faults.iter().any(|(fault, _)| *fault == Fault::Wall);
        let tokens = if wall || plain > 0 || tokens == 0 { 0 } else { tokens.max(5) };
        Self { quiet, deflate, hides, hasty, plain: plain as usize, tokens }
    }

    fn words(&self) -> String {
        let of = [
            ("quiet", self.quiet),
            ("deflate", self.deflate),
            ("hidden", self.hides),
            ("hasty", self.hasty),
            ("plain", self.plain as u64),
            ("tokens", self.tokens),
        ];
        let there: Vec<&str> = of.iter().filter(|(_, number)| *number > 0).map(|(word, _)| *word).collect();
        if there.is_empty() { String::new() } else { format!("; {}", there.join(", ")) }
    }
}

impl Plan {
    /// Whether there is one server, with a store of its own, and no nodes on Redis: of it more can be foretold.
    pub fn has_one_server(&self) -> bool {
        self.nodes == 0
    }

    /// Draws the plan of a seed.
    pub fn draw(seed: u64, wish: &Wish) -> Self {
        let mut chance = Chance::new(seed);
        let c = &mut chance;
        // A third of the kinds on average, and now and then none or nearly all.
        let often = *c.pick(&[0, 2, 2, 3, 3, 4, 6]);
        let mut faults = Vec::new();
        for (fault, _) in Fault::ALL {
            let (chosen, rate) = (c.one_in(often), c.skewed(1, 100));
            if chosen && wish.faults.as_ref().is_none_or(|wanted| wanted.contains(&fault)) {
                faults.push((fault, rate));
            }
        }
        let clients = (2 + c.skewed(0, MOST_CLIENTS - 2)) as usize;
        let rooms = (1 + c.skewed(0, 8)) as usize;
        let mut lasts = *c.pick(&[Lasts::Memory, Lasts::Process, Lasts::Power]);
        let mut ways = Ways::draw(seed, &faults);
        let nodes = wish.nodes.filter(|_| super::HAS_NODES).map_or(0, |nodes| {
            // From numbers of its own: whatever else a seed draws it draws for one server too.
            let c = &mut Chance::new(seed ^ 0x00de_5c0d_e500_11aa);
            let drawn = c.within(1, MOST_NODES) as usize;
            for (fault, _) in Fault::OF_NODES {
                let (chosen, rate) = (c.one_in(often), c.skewed(1, 100));
                if chosen && wish.faults.as_ref().is_none_or(|wanted| wanted.contains(&fault)) {
                    faults.push((fault, rate));
                }
            }
            // The plain dialect does not say in which life of a room it is; and tokens are for one server.
            (lasts, ways.plain, ways.tokens) = (Lasts::Process, 0, 0);
            match nodes {
                Nodes::These(nodes) => nodes,
                Nodes::Any => drawn,
            }
        });
        let mut settings = settings(c, clients + ways.plain, faults.iter().any(|(fault, _)| *fault == Fault::Memory));
        // From numbers of its own, as the ways. No polite client takes so long over a message: its pieces come
        // together, and a server in whose turns much is done reads them within two seconds.
        settings.engine.message_within =
            Duration::from_secs(*Chance::new(seed ^ 0x0071_3e00_f0a1_b2c3).pick(&[8, 20, 60]));
        if ways.deflate > 0 {
            let deflate = settings.engine.deflate.insert(engine::DeflateSettings::default());
            (deflate.threshold, deflate.level) = (100, 1);
            // Compressing takes some itself.
            settings.bounds.memory = settings.bounds.memory.map(|bytes| bytes + 1_000_000);
        }
        settings.chat.memory = settings.bounds.memory;
        if ways.tokens > 0 {
            settings.keys = Some(super::token::keys());
            settings.chat.token_grace = Duration::from_secs(2 + ways.tokens / 10);
        }
        let devices = settings.chat.sessions_per_user;
        let people = (1 + c.below(clients as u64)).max(clients.div_ceil(devices) as u64) as usize;
        Self {
            seed,
            faults,
            nodes,
            clients: wish.clients.map_or(clients, |most| most.min(clients)),
            people,
            rooms,
            pause: if c.one_in(5) { c.within(4_000, 30_000) } else { c.within(100, 4_000) } * 1000,
            turn: *c.pick(&[60, 60, 60, 2_000, 20_000]),
            // From numbers of its own, as the ways.
            at_once: *Chance::new(seed ^ 0x0a70_11ce_5eed_0002).pick(&[256, 256, 20, 5]),
            faulty: c.within(30, 180).min(wish.seconds.unwrap_or(u64::MAX)) * 1_000_000,
            healing: 400_000_000,
            latency: c.skewed(50, 150_000),
            window: c.skewed(2_000, 300_000) as usize,
            lasts,
            kept: memory::Limits {
                messages: *c.pick(&[5, 30, 200, 1000, 100_000]),
                age: Duration::MAX,
                bytes: 256 << 20,
                direct_conversations: 50_000,
                ..memory::Limits::default()
            },
            store_queue: if c.one_in(3) { c.within(20, 200) as usize } else { 4096 },
            settings,
            proxied: c.one_in(6),
            ways,
            tape: wish.tape.clone(),
        }
    }

    /// Once in how many occasions a fault happens, or how many of it there are; 0: never.
    pub fn rate(&self, fault: Fault) -> u64 {
        self.faults.iter().find(|(kind, _)| *kind == fault).map_or(0, |(_, rate)| *rate)
    }

    /// How many entries of a room the store has at least, of those that there were.
    pub fn keeps(&self) -> u64 {
        let may_drop = self.lasts == Lasts::Memory && self.has(Fault::Memory);
        if may_drop { 0 } else { self.kept.messages as u64 }
    }

    /// What a client does that others do not.
    pub fn manner(&self, client: usize) -> Manner {
        // A seed may be the largest number there is.
        let number = |shift: u64| self.seed.wrapping_add(client as u64 + shift);
        let one_in = |many: u64, shift: u64| many > 0 && number(shift).is_multiple_of(many);
        let bits = *[15, 15, 9, 12].get(client % 4).expect("there are four");
        Manner {
            quiet: one_in(self.ways.quiet, 1),
            deflate: one_in(self.ways.deflate, 2).then_some(bits),
            hasty: one_in(self.ways.hasty, 3),
        }
    }

    /// Whether a user hides, on all devices.
    pub fn hides(&self, user: &str) -> bool {
        let number = user.strip_prefix('u').and_then(|number| number.parse::<u64>().ok());
        self.ways.hides > 0 && number.is_some_and(|number| number.is_multiple_of(self.ways.hides))
    }

    /// For how many seconds a token holds at least and at most. When all is to be well, nobody asks for more than they
    /// may: devices of one user have one bucket, and each brings another token in half of the time.
    pub fn token_seconds(&self, faulty: bool) -> (u64, u64) {
        let most = self.ways.tokens.max(if faulty { 0 } else { UNHURRIED });
        (most / 2 + 1, most)
    }

    /// Whether there is such a fault.
    pub fn has(&self, fault: Fault) -> bool {
        self.rate(fault) > 0
    }

    /// The faults.
    pub fn faults(&self) -> Vec<Fault> {
        self.faults.iter().map(|(fault, _)| *fault).collect()
    }

    /// In a line, for people.
    pub fn words(&self) -> String {
        let faults: Vec<&str> = self.faults.iter().map(|(fault, _)| fault.word()).collect();
        let faults = if faults.is_empty() { "no faults".into() } else { faults.join(", ") };
        let short = self.settings.bounds.memory.map_or_else(String::new, |bytes| format!(" ({} KB)", bytes / 1000));
        let nodes = if self.nodes > 0 { format!("{} nodes, ", self.nodes) } else { String::new() };
        format!(
            "{nodes}{} clients of {} users, {} rooms, durability {}, {} s: {faults}{short}{}",
            self.clients,
            self.people,
            self.rooms,
            self.lasts.word(),
            self.faulty / 1_000_000,
            self.ways.words(),
        )
    }
}

/// Nodes that a seed draws at most.
const MOST_NODES: u64 = 5;

/// As many clients as a seed draws at most; `--clients` may ask for fewer.
const MOST_CLIENTS: u64 = 30;

/// For how many seconds a token holds at most, at least, when all is to be well.
const UNHURRIED: u64 = 60;

/// The machine that proxies and operators come from.
pub const NEAR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn settings(c: &mut Chance, clients: usize, short: bool) -> Settings {
    let millis = |c: &mut Chance, from, to| Duration::from_millis(c.within(from, to));
    let message_bytes = *c.pick(&[4_096, 16_384, 65_536]);
    let outbox_bytes = c.skewed(16 << 10, 1 << 20) as usize;
    let mut engine = usual_engine();
    engine.limits = proto::Limits::new().message_bytes(message_bytes);
    engine.receive_buffer = *c.pick(&[512, 4_096, 65_536]);
    engine.outbox_bytes = outbox_bytes;
    engine.behind_bytes = (outbox_bytes / 4).min(64 << 10);
    engine.ping_after = Some(millis(c, 5_000, 25_000));
    engine.pong_within = millis(c, 5_000, 10_000);
    engine.sends_per_flush = *c.pick(&[1, 3, 16, 128]);
    engine.flush_delay = *c.pick(&[Duration::ZERO, Duration::ZERO, Duration::from_millis(20)]);
    engine.flush_delay_members = *c.pick(&[2, 5, 1000]);
    let usual = chat::Settings::default();
    let chat = chat::Settings {
        content_bytes: message_bytes as usize / 4,
        rooms_per_session: *c.pick(&[2, 4, 128]),
        sessions_per_user: *c.pick(&[3, 16, 16]),
        rate: *c.pick(&[
            None,
            Some(chat::Rate { per_second: 20, burst: 40 }),
            Some(chat::Rate { per_second: 3, burst: 6 }),
        ]),
        replay_bytes: (outbox_bytes / 4).min(64 << 10),
        page_bytes: (outbox_bytes / 8).min(128 << 10),
        leave_grace: millis(c, 100, 8_000),
        big_room: *c.pick(&[2, 6, 100]),
        big_room_every: millis(c, 500, 5_000),
        max_rooms: *c.pick(&[6, 1000]),
        max_users: 200_000,
        ..usual
    };
    let addresses = (!c.one_in(3)).then(|| admission::Limits {
        open: *c.pick(&[8, 64, 1024]),
        per_second: *c.pick(&[5, 100]),
        ..admission::Limits::default()
    });
    let bounds = Bounds {
        max_connections: if c.one_in(3) { clients + 4 } else { 10_000 },
        addresses,
        proxies: Proxies::default(),
        // For all who are to be served, in the end.
        memory: short.then(|| c.within(600, 3_000) as usize * 1000 + clients * 40_000),
        stop_after: Duration::ZERO,
        stop_within: millis(c, 500, 10_000),
    };
    Settings {
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
        pages: Pages::default(),
        keys: None,
        bounds,
        chat,
        engine,
    }
}
