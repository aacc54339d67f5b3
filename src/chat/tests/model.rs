//! The chat beside a model of it that fits on a page: after every random step, both agree.
//!
//! The model has the whole log of each room and pair (`backend::tests::said`), and knows who is where by slots.
//! Clients, who come, are cut, and come back with what they had, read what they hear as an independent author would
//! read `docs/wire.md`, and never look at the model to understand it. After each step: every message once and in order,
//! nothing missing, nothing that is not in the log; each request answered once, and messages that are sent while
//! catching up when their turn comes; members, watches and presence as in the model; clients that fold what they hear
//! (`folding`), live, resumed or from the history, show the messages of the log; and nobody is shown as typing who is
//! not.

use proptest::prelude::*;
use serde_json::Value;

use super::folding::{Folded, agrees, as_heard};
use super::*;
use crate::backend::tests::said::{Conversation, Outcome};
use crate::backend::{Epoch, NewBody, NewEntry, Right, Why};

const NAMES: [&str; 4] = ["ann", "bob", "cat", "dan"];
const ROOMS: [&str; 3] = ["den", "attic", "hut"];

/// The clients: whose each is, and the room of those that speak the plain dialect.
const CLIENTS: [(usize, Option<usize>); 9] =
    [(0, None), (0, None), (1, None), (1, None), (2, None), (2, None), (3, None), (0, Some(0)), (3, Some(1))];

#[derive(Clone, Debug)]
enum Op {
    Open(usize),
    Cut(usize),
    Join {
        who: usize,
        room: usize,
        since: bool,
        history: u64,
    },
    Leave {
        who: usize,
        room: usize,
    },
    Say {
        who: usize,
        room: usize,
        id: Option<u8>,
        content: u8,
    },
    Direct {
        who: usize,
        to: usize,
        id: Option<u8>,
        content: u8,
    },
    Multicast {
        who: usize,
        content: u8,
    },
    /// Something is done to a message, in a room or in a conversation with a user.
    Change {
        who: usize,
        place: Result<usize, usize>,
        /// So far back from the newest entry.
        back: u64,
        kind: usize,
        id: Option<u8>,
    },
    Read {
        who: usize,
        room: usize,
        seq: u64,
    },
    History {
        who: usize,
        room: usize,
        after: Option<u64>,
        limit: usize,
    },
    Conversations(usize),
    Status {
        who: usize,
        status: usize,
        note: bool,
    },
    Watch {
        who: usize,
        whom: usize,
        on: bool,
    },
    Typing {
        who: usize,
        room: usize,
        on: bool,
    },
    /// The client takes everything that is on the way to it.
    Take(usize),
    /// From now on it takes nothing live, or takes everything again.
    Stop {
        who: usize,
        on: bool,
    },
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    let who = 0..CLIENTS.len();
    let (room, user) = (0..ROOMS.len(), 0..NAMES.len());
    let place = prop_oneof![3 => room.clone().prop_map(Ok), 1 => user.clone().prop_map(Err)];
    let id = || prop_oneof![2 => Just(None), 1 => (0..3_u8).prop_map(Some)];
    prop_oneof![
        4 => who.clone().prop_map(Op::Open),
        3 => who.clone().prop_map(Op::Cut),
        6 => (who.clone(), room.clone(), any::<bool>(), 0..4_u64)
            .prop_map(|(who, room, since, history)| Op::Join { who, room, since, history }),
        2 => (who.clone(), room.clone()).prop_map(|(who, room)| Op::Leave { who, room }),
        8 => (who.clone(), room.clone(), id(), 0..2_u8)
            .prop_map(|(who, room, id, content)| Op::Say { who, room, id, content }),
        2 => (who.clone(), user.clone(), id(), 0..2_u8)
            .prop_map(|(who, to, id, content)| Op::Direct { who, to, id, content }),
        1 => (who.clone(), 0..2_u8).prop_map(|(who, content)| Op::Multicast { who, content }),
        8 => (who.clone(), place, 0..6_u64, 0..CHANGES.len(), id())
            .prop_map(|(who, place, back, kind, id)| Op::Change { who, place, back, kind, id }),
        2 => (who.clone(), room.clone(), 0..12_u64).prop_map(|(who, room, seq)| Op::Read { who, room, seq }),
        3 => (who.clone(), room.clone(), proptest::option::of(0..12_u64), 1..5_usize)
            .prop_map(|(who, room, after, limit)| Op::History { who, room, after, limit }),
        1 => who.clone().prop_map(Op::Conversations),
        2 => (who.clone(), 0..4_usize, any::<bool>()).prop_map(|(who, status, note)| Op::Status { who, status, note }),
        2 => (who.clone(), user, any::<bool>()).prop_map(|(who, whom, on)| Op::Watch { who, whom, on }),
        6 => who.clone().prop_map(Op::Take),
        2 => (who.clone(), any::<bool>()).prop_map(|(who, on)| Op::Stop { who, on }),
        2 => (who, room, any::<bool>()).prop_map(|(who, room, on)| Op::Typing { who, room, on }),
        2 => prop_oneof![0..200_u64, 2_900..6_100_u64, Just(5_000), Just(299_000)].prop_map(Op::Wait),
    ]
}

/// What is done to messages: the type of the request, and its fields beside the message.
const CHANGES: [(&str, &str); 8] = [
    ("broadcast", r#","content":"re""#),
    ("edit", r#","content":"a""#),
    ("edit", r#","content":"b""#),
    ("delete", ""),
    ("react", r#","emoji":"👍","on":true"#),
    ("react", r#","emoji":"👍","on":false"#),
    ("react", r#","emoji":":x:","on":true"#),
    ("react", r#","emoji":":x:","on":false"#),
];

/// A status and a note, as they are seen.
type Seen = (String, Option<String>);

/// The client's state of a room.
#[derive(Clone, Default)]
struct Place {
    /// The last message it has, with the epoch: what it comes back with.
    last: Option<(String, u64)>,
    inside: bool,
    /// From `joined`, or from where it has fallen behind, to `online_users`: what it has missed is still coming.
    behind: bool,
    /// It has fallen behind, perhaps for a notice alone.
    fell: bool,
    /// Its messages that it has sent meanwhile and not heard: id and seq.
    awaited: Vec<(Value, u64)>,
    /// The messages that it shows, and the entry from which on it has them.
    folded: Folded,
    from: u64,
    members: BTreeSet<String>,
    typing: BTreeSet<String>,
}

#[derive(Clone, Default)]
struct Client {
    open: bool,
    places: [Place; ROOMS.len()],
    watched: BTreeMap<String, Seen>,
    /// The last list that a plain client got.
    online: String,
    plain_heard: u64,
    /// The messages that it shows of each user.
    talks: BTreeMap<String, Folded>,
    /// Bytes of replay since it last took everything.
    on_the_way: usize,
}

struct Room {
    epoch: Option<String>,
    log: Conversation,
    /// Up to where each user has read it.
    marks: BTreeMap<usize, u64>,
    /// By user: when they are given up, if no device of theirs is inside.
    members: BTreeMap<usize, Option<u64>>,
}

impl Room {
    fn new(kept: usize) -> Self {
        Self { epoch: None, log: Conversation::new(Epoch(0), kept), marks: BTreeMap::new(), members: BTreeMap::new() }
    }
}

#[derive(Default, Clone)]
struct User {
    known: bool,
    present: bool,
    gone_at: Option<u64>,
    status: usize,
    note: bool,
}

const STATUSES: [&str; 4] = ["online", "away", "busy", "offline"];

struct World {
    stage: Stage,
    /// How many messages are kept.
    kept: usize,
    /// How much of a replay may be on the way.
    slice: usize,
    clients: Vec<Client>,
    rooms: [Room; ROOMS.len()],
    users: [User; NAMES.len()],
    /// The conversations of two, the smaller first.
    pairs: BTreeMap<(usize, usize), Conversation>,
    /// Entries with an id: sender, id, place, what; number, and time.
    said: BTreeMap<(usize, u8, String, String), (u64, u64)>,
    /// The mark that has just moved: whose, by which client, where and how far.
    moved: Option<(usize, usize, usize, u64)>,
    typing: BTreeMap<(usize, usize), u64>,
    epochs: BTreeSet<String>,
    requests: u64,
}

/// The answers for the client that asks.
enum Answer {
    Error(&'static str),
    Joined {
        since: Option<(String, u64)>,
        history: u64,
        again: bool,
    },
    Said {
        room: usize,
        seq: u64,
        kind: &'static str,
    },
    Told {
        to: usize,
        seq: u64,
        kind: &'static str,
    },
    Dup {
        seq: u64,
    },
    /// It comes back when its turn comes.
    Later,
    Plain,
    Is(&'static str),
    History {
        room: usize,
        seqs: Vec<u64>,
        next: Option<u64>,
    },
    Conversations,
}

impl World {
    fn new(kept: usize, slice: usize) -> Self {
        let settings = Settings { replay_bytes: slice, ..unhurried() };
        let mut stage = Stage::keeping(last(kept), settings, &[]);
        stage.holds = true;
        Self {
            stage,
            kept,
            slice,
            clients: vec![Client::default(); CLIENTS.len()],
            rooms: std::array::from_fn(|_| Room::new(kept)),
            users: Default::default(),
            pairs: BTreeMap::new(),
            said: BTreeMap::new(),
            moved: None,
            typing: BTreeMap::new(),
            epochs: BTreeSet::new(),
            requests: 0,
        }
    }

    fn now(&self) -> u64 {
        self.stage.now.tick.0
    }

    fn inside(&self, who: usize, room: usize) -> bool {
        self.clients[who].open && self.clients[who].places[room].inside
    }

    fn step(&mut self, op: &Op) {
        let open = |who: usize| self.clients[who].open;
        match *op {
            Op::Open(who) if !open(who) => self.open(who),
            Op::Cut(who) if open(who) => self.cut(who),
            Op::Take(who) if open(who) => drop(self.take(who)),
            Op::Stop { who, on } if open(who) => match on {
                true => self.stage.stops(&who.to_string()),
                false => self.stage.goes_on(&who.to_string()),
            },
            Op::Wait(ms) => {
                self.stage.waits_ms(ms);
                self.time_has_passed();
                self.listen(None);
            }
            Op::Say { who, room, content, .. } if open(who) && CLIENTS[who].1.is_some() => {
                let room = CLIENTS[who].1.unwrap_or(room);
                self.append(
                    CLIENTS[who].0,
                    room,
                    NewBody::Message { content: &content.to_string(), reply_to: None, calls_room: false },
                );
                self.typing.remove(&(CLIENTS[who].0, room));
                self.stage.says(&who.to_string(), &content.to_string());
                self.listen(None);
            }
            Op::Join { who, .. }
            | Op::Leave { who, .. }
            | Op::Say { who, .. }
            | Op::Direct { who, .. }
            | Op::Multicast { who, .. }
            | Op::Change { who, .. }
            | Op::Read { who, .. }
            | Op::History { who, .. }
            | Op::Conversations(who)
            | Op::Status { who, .. }
            | Op::Watch { who, .. }
            | Op::Typing { who, .. }
                if open(who) && CLIENTS[who].1.is_none() =>
            {
                self.request(who, op);
            }
            _ => {}
        }
        self.agree();
    }

    fn open(&mut self, who: usize) {
        let (user, plain) = CLIENTS[who];
        let device = who.to_string();
        self.users[user].known = true;
        self.users[user].present = true;
        self.users[user].gone_at = None;
        let Client { places, talks, .. } = std::mem::take(&mut self.clients[who]);
        self.clients[who] = Client { open: true, places, talks, ..Client::default() };
        match plain {
            Some(room) => {
                self.rooms[room].members.insert(user, None);
                self.clients[who].plain_heard = self.rooms[room].log.len();
                self.clients[who].places[room].inside = true;
                self.stage.opens_plain(&device, ROOMS[room], NAMES[user]);
            }
            None => self.stage.opens(&device, NAMES[user]),
        }
        self.listen(None);
    }

    /// The client takes what is on the way to it; says whether the chat wanted to know.
    fn take(&mut self, who: usize) -> bool {
        self.clients[who].on_the_way = 0;
        let asked = self.stage.drains(&who.to_string());
        self.listen(None);
        asked
    }

    fn cut(&mut self, who: usize) {
        let user = CLIENTS[who].0;
        let grace = self.now() + 5_000;
        self.clients[who].open = false;
        // It reads those that it shows anew when it comes back.
        self.clients[who].talks.clear();
        for room in 0..ROOMS.len() {
            let place = &mut self.clients[who].places[room];
            let was_inside = std::mem::take(&mut place.inside);
            (place.behind, place.fell) = (false, false);
            place.awaited.clear();
            place.members.clear();
            place.typing.clear();
            if was_inside && !self.devices(user).any(|who| self.inside(who, room)) {
                self.rooms[room].members.insert(user, Some(grace));
            }
        }
        if self.devices(user).next().is_none() {
            self.users[user].gone_at = Some(grace);
        }
        self.stage.closes(&who.to_string());
        self.listen(None);
    }

    /// The open clients of a user.
    fn devices(&self, user: usize) -> impl Iterator<Item = usize> {
        (0..CLIENTS.len()).filter(move |&who| CLIENTS[who].0 == user && self.clients[who].open)
    }

    fn time_has_passed(&mut self) {
        let now = self.now();
        for room in 0..ROOMS.len() {
            let given_up = |at: &Option<u64>| at.is_some_and(|at| at <= now);
            let gone: Vec<usize> =
                self.rooms[room].members.iter().filter(|(_, at)| given_up(at)).map(|(&user, _)| user).collect();
            gone.into_iter().for_each(|user| self.depart(user, room));
        }
        for user in &mut self.users {
            if user.gone_at.is_some_and(|at| at <= now) {
                *user = User { known: true, ..User::default() };
            }
        }
        self.typing.retain(|_, until| *until > now);
    }

    fn depart(&mut self, user: usize, room: usize) {
        self.typing.remove(&(user, room));
        let place = &mut self.rooms[room];
        place.members.remove(&user);
        if place.members.is_empty() && (self.kept == 0 || place.log.len() == 0) {
            *place = Room::new(self.kept);
        }
    }

    /// How others see a user, or the user themselves.
    fn seen(&self, user: usize, by: usize) -> Seen {
        let User { present, status, note, .. } = self.users[user];
        match present && (STATUSES[status] != "offline" || user == by) {
            true => (STATUSES[status].into(), note.then(|| format!("note of {status}"))),
            false => ("offline".into(), None),
        }
    }

    /// Whether it was said before with that id, and what number it has then.
    fn was_said(&self, user: usize, id: Option<u8>, place: &str, what: &str) -> Option<u64> {
        let &(seq, at) = self.said.get(&(user, id?, place.into(), what.into()))?;
        (self.now() - at < 300_000).then_some(seq)
    }

    /// It has been said with that id.
    fn note_said(&mut self, user: usize, id: Option<u8>, place: &str, what: &str, seq: u64) {
        if let Some(id) = id {
            self.said.insert((user, id, place.into(), what.into()), (seq, self.now()));
        }
    }

    /// Something is said or done in a room, and becomes an entry or not.
    fn append(&mut self, user: usize, room: usize, body: NewBody<'_>) -> Outcome {
        let entry = NewEntry { sender: NAMES[user], body, at: self.stage.now };
        self.rooms[room].log.append(&entry)
    }

    /// The same between two people; with 0 kept, the number is not looked at, because two of whom nothing is kept begin
    /// anew now and then.
    fn append_to(&mut self, user: usize, to: usize, body: NewBody<'_>) -> Outcome {
        let entry = NewEntry { sender: NAMES[user], body, at: self.stage.now };
        let kept = self.kept;
        let new = || Conversation::new(Epoch(0), kept);
        match self.pairs.entry((user.min(to), user.max(to))).or_insert_with(new).append(&entry) {
            Outcome::Published(_) if kept == 0 => Outcome::Published(0),
            outcome => outcome,
        }
    }

    /// The request that does something to a message, and what becomes of it.
    fn change(&mut self, op: &Op) -> (String, Answer) {
        let Op::Change { who, place, back, kind, id: key } = *op else { unreachable!("another one") };
        let user = CLIENTS[who].0;
        let (kind, more) = CHANGES[kind];
        let len = match place {
            Ok(room) => self.rooms[room].log.len(),
            Err(to) => self.pairs.get(&(user.min(to), user.max(to))).map_or(0, Conversation::len),
        };
        let of = (len + 1).saturating_sub(back);
        let (kind, named) = match (kind, place) {
            ("broadcast", Err(_)) => ("direct", "reply_to"),
            ("broadcast", Ok(_)) => ("broadcast", "reply_to"),
            (kind, _) => (kind, "of"),
        };
        let (field, name) = place.map_or_else(|to| ("user_id", NAMES[to]), |room| ("room_id", ROOMS[room]));
        let text = format!(r#""type":"{kind}","{field}":"{name}","{named}":{of}{more}"#);
        let fields: Value = serde_json::from_str(&format!("{{{text}}}")).unwrap();
        let content = fields["content"].as_str().unwrap_or_default().to_owned();
        let (emoji, on) = (fields["emoji"].as_str().unwrap_or_default(), fields["on"] == true);
        let (heard, body) = match kind {
            "edit" => ("edited", NewBody::Edit { of, content: &content, within: None, calls_room: false }),
            "delete" => ("deleted", NewBody::Delete { of, right: Right::Sender { within: None } }),
            "react" => ("reaction", NewBody::Reaction { of, emoji, on }),
            said => (said, NewBody::Message { content: &content, reply_to: Some(of), calls_room: false }),
        };
        let (whole, spot) =
            (format!("{named}{of}{kind}{more}"), place.map_or_else(|to| format!("@{to}"), |room| ROOMS[room].into()));
        let unknown = place.err().is_some_and(|to| !self.users[to].known);
        if unknown && heard == "direct" {
            return (text, Answer::Error("user_not_found"));
        }
        if let Some(seq) = self.was_said(user, key, &spot, &whole) {
            return (text, Answer::Dup { seq });
        }
        let outcome = match place {
            Ok(room) if !self.inside(who, room) => return (text, Answer::Error("not_joined")),
            Ok(room) => self.append(user, room, body),
            Err(to) => self.append_to(user, to, body),
        };
        let seq = match outcome {
            Outcome::Published(seq) => seq,
            // Without an `id` nothing is to be answered.
            Outcome::Nothing if key.is_none() => return (text, Answer::Plain),
            Outcome::Nothing => return (text, Answer::Is("ack")),
            Outcome::Refused(Why::NotFound) if unknown => return (text, Answer::Error("user_not_found")),
            Outcome::Refused(Why::NotFound) => return (text, Answer::Error("not_found")),
            Outcome::Refused(_) => return (text, Answer::Error("forbidden")),
        };
        self.note_said(user, key, &spot, &whole, seq);
        let answer = match place {
            Ok(room) => {
                if heard == "broadcast" {
                    self.typing.remove(&(user, room));
                }
                self.comes_back(who, room, key, seq, heard)
            }
            Err(to) => Answer::Told { to, seq, kind: heard },
        };
        (text, answer)
    }

    /// How what a client has said or done in a room comes back to it.
    fn comes_back(&mut self, who: usize, room: usize, key: Option<u8>, seq: u64, kind: &'static str) -> Answer {
        let stopped = self.stage.stopped.contains(&self.stage.conn(&who.to_string()));
        let place = &mut self.clients[who].places[room];
        match (place.behind, stopped && key.is_none()) {
            (true, _) => {
                place.awaited.extend(key.map(|key| (named(key), seq)));
                Answer::Later
            }
            (false, false) => Answer::Said { room, seq, kind },
            // It comes as messages of others do.
            (false, true) => Answer::Plain,
        }
    }

    fn request(&mut self, who: usize, op: &Op) {
        let user = CLIENTS[who].0;
        self.moved = None;
        self.requests += 1;
        let mut id = Some(Value::from(self.requests));
        let named = |id: Option<u8>| id.map(named);
        let (text, answer) = match *op {
            Op::Join { room, since, history, .. } => {
                let place = &mut self.clients[who].places[room];
                let again = std::mem::replace(&mut place.inside, true);
                let since = place.last.clone().filter(|_| since);
                self.rooms[room].members.insert(user, None);
                let more = since.as_ref().map(|(epoch, seq)| format!(r#","since":{{"epoch":"{epoch}","seq":{seq}}}"#));
                let text = format!(
                    r#""type":"join","room_id":"{}","history":{history}{}"#,
                    ROOMS[room],
                    more.unwrap_or_default()
                );
                (text, Answer::Joined { since, history, again })
            }
            Op::Leave { room, .. } => {
                let text = format!(r#""type":"leave","room_id":"{}""#, ROOMS[room]);
                match std::mem::take(&mut self.clients[who].places[room].inside) {
                    true => {
                        if !self.devices(user).any(|who| self.inside(who, room)) {
                            self.depart(user, room);
                        }
                        (text, Answer::Is("left"))
                    }
                    false => (text, Answer::Error("not_joined")),
                }
            }
            Op::Say { room, id: key, content, .. } => {
                id = named(key);
                let text = format!(r#""type":"broadcast","room_id":"{}","content":"{content}""#, ROOMS[room]);
                let content = content.to_string();
                match self.was_said(user, key, ROOMS[room], &content) {
                    Some(seq) => (text, Answer::Dup { seq }),
                    None if !self.inside(who, room) => (text, Answer::Error("not_joined")),
                    None => {
                        let said = NewBody::Message { content: &content, reply_to: None, calls_room: false };
                        let Outcome::Published(seq) = self.append(user, room, said) else { unreachable!("a message") };
                        self.note_said(user, key, ROOMS[room], &content, seq);
                        self.typing.remove(&(user, room));
                        (text, self.comes_back(who, room, key, seq, "broadcast"))
                    }
                }
            }
            Op::Change { id: key, .. } => {
                id = named(key);
                self.change(op)
            }
            Op::Read { room, seq, .. } => {
                let inside = self.inside(who, room);
                // From outside, a mark can be taken away: `tests::reading` has that.
                let seq = if inside { seq } else { seq.max(1) };
                let text = format!(r#""type":"read","room_id":"{}","seq":{seq}"#, ROOMS[room]);
                match inside {
                    false => (text, Answer::Error("not_joined")),
                    true => {
                        let place = &mut self.rooms[room];
                        let (seq, mark) = (seq.min(place.log.len()), place.marks.entry(user).or_default());
                        if seq > *mark || seq == 0 && *mark > 0 {
                            *mark = seq;
                            self.moved = Some((user, who, room, seq));
                        }
                        (text, Answer::Is("ack"))
                    }
                }
            }
            Op::History { room, after, limit, .. } => {
                let more = after.map(|after| format!(r#","after":{after}"#)).unwrap_or_default();
                let text = format!(r#""type":"history","room_id":"{}","limit":{limit}{more}"#, ROOMS[room]);
                match self.inside(who, room) {
                    false => (text, Answer::Error("not_joined")),
                    true => {
                        let log = &self.rooms[room].log;
                        let (seqs, next) = match after {
                            Some(after) => {
                                let seqs: Vec<u64> = log.messages().filter(|seq| *seq > after).take(limit).collect();
                                let next = seqs.last().copied().filter(|last| *last < log.len());
                                (seqs, next)
                            }
                            None => {
                                let mut seqs: Vec<u64> = log.messages().rev().take(limit).collect();
                                seqs.reverse();
                                let next = seqs.first().copied().filter(|first| *first > log.head().oldest());
                                (seqs, next)
                            }
                        };
                        (text, Answer::History { room, seqs, next })
                    }
                }
            }
            Op::Conversations(_) => (r#""type":"conversations""#.into(), Answer::Conversations),
            Op::Direct { to, id: key, content, .. } => {
                id = named(key);
                let text = format!(r#""type":"direct","user_id":"{}","content":"{content}""#, NAMES[to]);
                let (content, place) = (content.to_string(), format!("@{to}"));
                match self.was_said(user, key, &place, &content) {
                    _ if !self.users[to].known => (text, Answer::Error("user_not_found")),
                    Some(seq) => (text, Answer::Dup { seq }),
                    None => {
                        let said = NewBody::Message { content: &content, reply_to: None, calls_room: false };
                        let Outcome::Published(seq) = self.append_to(user, to, said) else { unreachable!("a message") };
                        self.note_said(user, key, &place, &content, seq);
                        (text, Answer::Told { to, seq, kind: "direct" })
                    }
                }
            }
            Op::Multicast { content, .. } => {
                let known: Vec<usize> = (0..NAMES.len()).filter(|&to| self.users[to].known).collect();
                for to in known {
                    self.append_to(
                        user,
                        to,
                        NewBody::Message { content: &content.to_string(), reply_to: None, calls_room: false },
                    );
                }
                let names = NAMES.map(|name| format!(r#""{name}""#)).join(",");
                (format!(r#""type":"multicast","user_ids":[{names}],"content":"{content}""#), Answer::Is("ack"))
            }
            Op::Status { status, note, .. } => {
                self.users[user].status = status;
                self.users[user].note = note;
                let note = if note { format!(r#","note":"note of {status}""#) } else { String::new() };
                (format!(r#""type":"status","status":"{}"{note}"#, STATUSES[status]), Answer::Is("ack"))
            }
            Op::Watch { whom, on, .. } => (
                format!(r#""type":"presence","user_ids":["{}"],"subscribe":{on}"#, NAMES[whom]),
                Answer::Is("presence_state"),
            ),
            Op::Typing { room, on, .. } => {
                let text = format!(r#""type":"typing","room_id":"{}","typing":{on}"#, ROOMS[room]);
                let until = self.now() + 6_000;
                match (self.inside(who, room), on) {
                    (false, _) => (text, Answer::Error("not_joined")),
                    (true, true) => {
                        self.typing.insert((user, room), until);
                        (text, Answer::Is("ack"))
                    }
                    (true, false) => {
                        self.typing.remove(&(user, room));
                        (text, Answer::Is("ack"))
                    }
                }
            }
            Op::Open(_) | Op::Cut(_) | Op::Take(_) | Op::Stop { .. } | Op::Wait(_) => unreachable!("no request"),
        };
        let before = self.clients[who].watched.clone();
        let with_id = id.as_ref().map(|id| format!(r#","id":{id}"#)).unwrap_or_default();
        self.stage.says(&who.to_string(), &format!("{{{text}{with_id}}}"));
        self.listen(Some((who, id, answer)));
        if let Op::Watch { whom, on, .. } = *op {
            let state = self.clients[who].watched[NAMES[whom]].clone();
            assert_eq!(state, self.seen(whom, user), "presence_state of {}", NAMES[whom]);
            // A client that only asked or has stopped hears no changes.
            if !on {
                self.clients[who].watched = before;
                self.clients[who].watched.remove(NAMES[whom]);
            }
        }
    }

    /// Those that are stopped have left the topics of which there was more for them. They are in the rooms all the
    /// same.
    fn fall_behind(&mut self) {
        for (who, client) in self.clients.iter_mut().enumerate().filter(|(_, client)| client.open) {
            for (place, room) in client.places.iter_mut().zip(ROOMS).filter(|(place, _)| place.inside && !place.behind)
            {
                place.fell = CLIENTS[who].1.is_none() && !self.stage.hears(&who.to_string(), room);
                place.behind = place.fell;
            }
        }
    }

    /// Every client reads its messages.
    fn listen(&mut self, mut request: Option<(usize, Option<Value>, Answer)>) {
        for (who, (_, plain)) in CLIENTS.iter().enumerate() {
            if !self.clients[who].open {
                continue;
            }
            let heard = self.stage.takes(&who.to_string());
            let heard: Vec<Value> = heard.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            match (&mut request, *plain) {
                (_, Some(room)) => self.read_plain(who, room, &heard),
                (Some((asker, id, answer)), None) if *asker == who => {
                    let (id, answer) = (id.take(), std::mem::replace(answer, Answer::Plain));
                    self.read_json(who, &heard, Some((id, answer)));
                }
                _ => self.read_json(who, &heard, None),
            }
        }
        self.fall_behind();
    }

    fn read_json(&mut self, who: usize, heard: &[Value], request: Option<(Option<Value>, Answer)>) {
        let own = NAMES[CLIENTS[who].0];
        let later = matches!(request, Some((_, Answer::Later)));
        let id = request.as_ref().and_then(|(id, _)| id.clone()).filter(|_| !later);
        let late = self.late_answers(who, heard);
        let answers: Vec<&Value> =
            heard.iter().filter(|message| message.get("id").is_some() && !late.contains(message)).collect();
        assert_eq!(answers.len(), usize::from(id.is_some()), "{who}: each request is answered once: {heard:?}");
        assert!(answers.iter().all(|answer| Some(&answer["id"]) == id.as_ref()), "{who}: {heard:?}");
        let kind = |message: &Value| message["type"].as_str().unwrap().to_owned();
        let find = |wanted: &str| heard.iter().find(|message| kind(message) == wanted);
        let mut gap = None;
        match request.map(|(_, answer)| answer) {
            Some(Answer::Error(code)) => {
                assert_eq!(find("error").map(|error| &error["code"]), Some(&code.into()), "{who}: {heard:?}");
            }
            Some(Answer::Is(expected)) => assert_eq!(kind(answers[0]), expected, "{who}"),
            Some(Answer::Dup { seq }) => {
                assert_eq!(answers[0]["dup"], true, "{who}: {heard:?}");
                assert!(seq == 0 || answers[0]["seq"] == seq, "{who}: {heard:?}");
            }
            Some(Answer::Said { room, seq, kind }) => {
                let said = find(kind).expect("the sender hears it");
                assert_eq!((&said["seq"], &said["room_id"]), (&seq.into(), &ROOMS[room].into()));
            }
            Some(Answer::History { room, seqs, next }) => self.read_history(who, answers[0], room, &seqs, next),
            Some(Answer::Conversations) => self.read_conversations(who, answers[0]),
            Some(Answer::Told { to, seq, kind }) => {
                let said = find(kind).expect("the sender hears it");
                assert_eq!(said["user_id"], NAMES[to]);
                assert!(seq == 0 || said["seq"] == seq, "{who}: {said}");
            }
            Some(Answer::Joined { since, history, again }) => {
                gap = self.read_joined(who, answers[0], since, history, again);
            }
            Some(Answer::Plain | Answer::Later) | None => {}
        }
        let joining = gap.is_some();
        let told_gap = find("gap").map(|gap| {
            let number = |name: &str| gap[name].as_u64().unwrap();
            (number("from"), number("to"), gap["why"].as_str().unwrap().to_owned())
        });
        assert!(!joining || told_gap == gap, "{who}: {heard:?}");
        for message in heard {
            let text = |name: &str| message[name].as_str().unwrap().to_owned();
            let room = message["room_id"].as_str().and_then(|name| ROOMS.iter().position(|room| *room == name));
            match (kind(message).as_str(), room) {
                ("broadcast" | "edited" | "deleted" | "reaction", Some(room)) => {
                    let seq = message["seq"].as_u64().unwrap();
                    let log = &self.rooms[room].log;
                    let entry = log.entry(seq, own).unwrap_or_else(|| log.published(seq));
                    let mut without_id = message.clone();
                    without_id.as_object_mut().unwrap().remove("id");
                    assert_eq!(without_id, as_heard(&entry, ("room_id", ROOMS[room])), "{who}");
                    let place = &mut self.clients[who].places[room];
                    place.folded.hear(message, own).unwrap();
                    let (_, last) = place.last.as_mut().expect("it has joined");
                    assert_eq!(seq, *last + 1, "{who} in {}: {heard:?}", ROOMS[room]);
                    *last = seq;
                    if place.behind {
                        assert!(self.clients[who].on_the_way < self.slice, "{who}: more than a slice on the way");
                        self.clients[who].on_the_way += message.to_string().len();
                    }
                    let place = &self.clients[who].places[room];
                    let typed = kind(message) == "broadcast" && place.typing.contains(&text("sender"));
                    assert!(!typed || place.fell, "{who}: one who has said it does not type it");
                }
                ("gap", Some(room)) => {
                    let number = |name: &str| message[name].as_u64().unwrap();
                    let len = self.rooms[room].log.len();
                    let place = &mut self.clients[who].places[room];
                    let (_, last) = place.last.as_mut().expect("it has joined");
                    assert!(joining || (place.behind && text("why") == "expired"), "{who}: {message}");
                    assert_eq!(number("from"), *last + 1, "{who}: {heard:?}");
                    if !joining {
                        assert_eq!(number("to"), len - len.min(self.kept as u64), "{who}: what is kept is no hole");
                    }
                    *last = number("to");
                }
                ("direct" | "edited" | "deleted" | "reaction", None) => {
                    assert!(text("sender") == own || text("user_id") == own, "{who}: {message}");
                    let with = if text("sender") == own { text("user_id") } else { text("sender") };
                    self.clients[who].talks.entry(with).or_default().hear(message, own).unwrap();
                }
                ("read", Some(room)) => {
                    let seq = message["seq"].as_u64().unwrap();
                    let (user, mover, moved, to) = self.moved.expect("a mark has moved");
                    assert_eq!((user, moved, to), (CLIENTS[who].0, room, seq), "{who}: {message}");
                    assert!(mover != who, "{who} has moved it");
                }
                ("user_joined", Some(room)) => {
                    let new = self.clients[who].places[room].members.insert(text("user_id"));
                    assert!(new, "{who}: {message}");
                }
                ("user_left", Some(room)) => {
                    let place = &mut self.clients[who].places[room];
                    assert!(place.members.remove(&text("user_id")), "{who}: {message}");
                    assert!(!place.typing.contains(&text("user_id")), "{who}: {message}");
                }
                ("online_users", Some(room)) => {
                    let users = message["users"].as_array().unwrap();
                    assert_eq!(message["count"], users.len());
                    let members = users.iter().map(|user| user.as_str().unwrap().to_owned()).collect();
                    let place = &mut self.clients[who].places[room];
                    place.members = members;
                    if place.fell {
                        // Those who typed may have stopped meanwhile: a client lets that end by itself.
                        place.typing.clear();
                    }
                    (place.behind, place.fell) = (false, false);
                    assert!(place.awaited.is_empty(), "{who}: {heard:?}");
                }
                ("left", Some(room)) => {
                    let place = &mut self.clients[who].places[room];
                    place.members.clear();
                    place.typing.clear();
                    (place.behind, place.fell) = (false, false);
                    assert!(place.awaited.is_empty(), "{who}: {heard:?}");
                }
                ("typing", Some(room)) => {
                    assert_ne!(text("user_id"), own, "{who}: nobody is told that they type");
                    let typing = &mut self.clients[who].places[room].typing;
                    match message["typing"].as_bool().unwrap() {
                        true => drop(typing.insert(text("user_id"))),
                        false => drop(typing.remove(&text("user_id"))),
                    }
                }
                ("presence_state", _) => {
                    for (name, view) in message["users"].as_object().unwrap() {
                        let note = view["note"].as_str().map(Into::into);
                        let status = view["status"].as_str().unwrap().to_owned();
                        let user = NAMES.iter().position(|known| known == name).unwrap();
                        let shown = status != "offline" || (name == own && self.users[user].present);
                        let devices = if shown { self.devices(user).count() } else { 0 };
                        assert_eq!(view["devices"], devices, "{who}: {message}");
                        self.clients[who].watched.insert(name.clone(), (status, note));
                    }
                }
                ("presence", _) => {
                    let seen = (text("status"), message["note"].as_str().map(Into::into));
                    let before = self.clients[who].watched.insert(text("user_id"), seen.clone());
                    assert!(before.is_some_and(|before| before != seen), "{who}: nothing new in {message}");
                }
                _ => {}
            }
        }
    }

    fn read_history(&mut self, who: usize, page: &Value, room: usize, seqs: &[u64], next: Option<u64>) {
        let own = NAMES[CLIENTS[who].0];
        let log = &self.rooms[room].log;
        let item = |seq: &u64| {
            let mut item = as_heard(&log.entry(*seq, own).unwrap(), ("room_id", ROOMS[room]));
            let object = item.as_object_mut().unwrap();
            object.retain(|name, _| name != "type" && name != "room_id");
            item
        };
        assert_eq!(page["items"], Value::Array(seqs.iter().map(item).collect()), "{who}: {page}");
        assert_eq!(page.get("next").and_then(Value::as_u64), next, "{who}: {page}");
    }

    fn read_conversations(&mut self, who: usize, page: &Value) {
        let user = CLIENTS[who].0;
        let mut talks = Vec::new();
        for ((one, other), log) in self.pairs.iter().filter(|(pair, _)| pair.0 == user || pair.1 == user) {
            if log.head().kept > 0 {
                let with = NAMES[if *one == user { *other } else { *one }];
                let (seq, ts, unread) = (log.len(), log.spoken(), log.unread(NAMES[user], 0));
                talks.push(serde_json::json!({"user_id":with,"seq":seq,"ts":ts,"read":0,"unread":unread}));
            }
        }
        let mut found = page["conversations"].as_array().unwrap().clone();
        let times: Vec<Option<u64>> = found.iter().map(|talk| talk["ts"].as_u64()).collect();
        assert!(times.is_sorted_by(|one, other| one >= other), "{who}: {page}");
        for list in [&mut found, &mut talks] {
            list.sort_by_key(|talk| talk["user_id"].to_string());
        }
        assert_eq!(found, talks, "{who}");
    }

    /// Answers to messages that were sent while catching up, which are no longer awaited then: the message itself, or,
    /// if it will not come, its `ack`.
    fn late_answers<'h>(&mut self, who: usize, heard: &'h [Value]) -> Vec<&'h Value> {
        let mut late = Vec::new();
        for message in heard.iter().filter(|message| message.get("id").is_some() && message.get("dup").is_none()) {
            let room = message["room_id"].as_str().and_then(|name| ROOMS.iter().position(|room| *room == name));
            let awaited = room.map(|room| &mut self.clients[who].places[room].awaited);
            if let (Some(awaited), Some(seq), true) =
                (awaited, message["seq"].as_u64(), late_kind(message["type"].as_str().unwrap()))
                && let Some(place) = awaited.iter().position(|(id, at)| *id == message["id"] && *at == seq)
            {
                awaited.remove(place);
                late.push(message);
            }
        }
        late
    }

    /// The fields of `joined`, the seq from which the client must hear, and the hole that must be named.
    fn read_joined(
        &mut self,
        who: usize,
        joined: &Value,
        since: Option<(String, u64)>,
        history: u64,
        again: bool,
    ) -> Option<(u64, u64, String)> {
        let name = joined["room_id"].as_str().unwrap();
        let room = ROOMS.iter().position(|room| *room == name).unwrap();
        let epoch = joined["epoch"].as_str().unwrap().to_owned();
        match &self.rooms[room].epoch {
            Some(known) => assert_eq!(*known, epoch, "one life, one epoch"),
            None => assert!(self.epochs.insert(epoch.clone()), "no two lives with one epoch"),
        }
        self.rooms[room].epoch = Some(epoch.clone());
        let log = &self.rooms[room].log;
        let len = log.len();
        let oldest = len - len.min(self.kept as u64) + 1;
        let same_life = since.as_ref().is_some_and(|(known, seq)| *known == epoch && *seq <= len);
        let (first, gap) = match since {
            _ if again => (len + 1, None),
            Some((_, seq)) if same_life && seq + 1 >= oldest => (seq + 1, None),
            Some((_, seq)) if same_life => (oldest, Some((seq + 1, oldest - 1, "expired".to_owned()))),
            Some(_) => {
                let first = log.messages().next().unwrap_or(len + 1);
                (first, (first > 1).then(|| (1, first - 1, "epoch_changed".to_owned())))
            }
            None => (log.messages().rev().take(history as usize).last().unwrap_or(len + 1), None),
        };
        assert_eq!(joined["seq"], len);
        assert_eq!(joined["members"], self.rooms[room].members.len());
        assert_eq!(joined["recovered"], same_life && gap.is_none());
        let mark = self.rooms[room].marks.get(&CLIENTS[who].0).copied().unwrap_or_default();
        let unread = self.rooms[room].log.unread(NAMES[CLIENTS[who].0], mark);
        assert_eq!((&joined["read"], &joined["unread"]), (&mark.into(), &unread.into()), "{who}: {joined}");
        let place = &mut self.clients[who].places[room];
        if !again {
            if !same_life {
                (place.folded, place.from) = (Folded::default(), first);
            }
            place.behind = true;
            place.last = Some((epoch, gap.as_ref().map_or(first, |(from, ..)| *from) - 1));
        }
        gap
    }

    fn read_plain(&mut self, who: usize, room: usize, heard: &[Value]) {
        for message in heard {
            let text = |name: &str| message[name].as_str().unwrap();
            assert_eq!((message.as_object().unwrap().len(), text("room")), (4, ROOMS[room]), "{who}: {message}");
            match text("type") {
                "chat" => {
                    let log = &self.rooms[room].log;
                    let seq = log.next_message(self.clients[who].plain_heard).expect("nothing that was not said");
                    assert_eq!((text("username"), Some(text("content"))), log.first_text(seq), "{who}");
                    self.clients[who].plain_heard = seq;
                }
                "online_users" => self.clients[who].online = text("content").to_owned(),
                "user_joined" | "user_left" => {}
                other => panic!("{who}: {other}"),
            }
        }
    }

    /// The clients' state agrees with the model.
    fn agree(&self) {
        for (who, client) in self.clients.iter().enumerate().filter(|(_, client)| client.open) {
            let (user, plain) = CLIENTS[who];
            for (room, place) in client.places.iter().enumerate().filter(|(_, place)| place.inside) {
                let log = &self.rooms[room].log;
                let members: Vec<&str> = self.rooms[room].members.keys().map(|&user| NAMES[user]).collect();
                if plain.is_some() {
                    assert_eq!(log.next_message(client.plain_heard), None, "{who} in {}", ROOMS[room]);
                    assert_eq!(client.online, members.join(","), "{who} in {}", ROOMS[room]);
                    continue;
                }
                let last = place.last.as_ref().map(|(_, seq)| *seq);
                if place.behind {
                    assert!(last < Some(log.len() + u64::from(place.fell)), "{who} in {}", ROOMS[room]);
                    assert!(self.stage.asked.contains(&self.stage.conn(&who.to_string())), "{who} is told the rest");
                    continue;
                }
                assert_eq!(last, Some(log.len()), "{who} in {}", ROOMS[room]);
                agrees(&place.folded, log, &format!("{who} in {}", ROOMS[room]));
                let mut shown = log.messages().filter(|seq| *seq >= place.from);
                assert!(shown.all(|seq| place.folded.0.contains_key(&seq)), "{who} in {}", ROOMS[room]);
                assert!(place.members.iter().eq(&members), "{who} in {}: {:?} {members:?}", ROOMS[room], place.members);
                for typist in &place.typing {
                    let typist = NAMES.iter().position(|name| name == typist).unwrap();
                    assert!(self.typing.contains_key(&(typist, room)), "{who}: {} does not type", NAMES[typist]);
                }
            }
            for (with, folded) in &client.talks {
                let to = NAMES.iter().position(|name| name == with).unwrap();
                agrees(folded, &self.pairs[&(user.min(to), user.max(to))], &format!("{who} with {with}"));
            }
            for (name, seen) in &client.watched {
                let whom = NAMES.iter().position(|known| known == name).unwrap();
                assert_eq!(*seen, self.seen(whom, user), "{who} watches {name}");
            }
        }
        let present = |room: &&Room| !room.members.is_empty() || room.log.len() > 0;
        assert_eq!(self.stage.chat.counts().rooms, self.rooms.iter().filter(present).count());
    }

    /// Everybody goes, and nothing is left of it.
    fn end(&mut self) {
        for who in (0..CLIENTS.len()).filter(|&who| self.clients[who].open).collect::<Vec<_>>() {
            while self.take(who) {}
            assert!(self.clients[who].places.iter().all(|place| !place.behind && place.awaited.is_empty()));
        }
        self.agree();
        for who in 0..CLIENTS.len() {
            self.step(&Op::Cut(who));
        }
        self.stage.waits(Limits::default().age * 2);
        self.stage.check_released();
    }
}

/// The `id` of a request that can be made again.
fn named(key: u8) -> Value {
    Value::from(format!("k{key}"))
}

/// Whether a message of this type answers what was said or done while its sender was catching up.
fn late_kind(kind: &str) -> bool {
    matches!(kind, "broadcast" | "edited" | "deleted" | "reaction" | "ack")
}

/// A client that has left the topic is not told that somebody types no more: it hears the message, which says so.
#[test]
fn who_catches_up_hears_what_was_typed_and_no_end_of_typing() {
    let mut world = World::new(3, 1);
    for op in [
        Op::Open(6),
        Op::Open(3),
        Op::Join { who: 3, room: 2, since: false, history: 1 },
        Op::Join { who: 6, room: 2, since: true, history: 2 },
        Op::Typing { who: 6, room: 2, on: true },
        Op::Stop { who: 3, on: true },
        Op::Say { who: 6, room: 2, id: None, content: 0 },
    ] {
        world.step(&op);
    }
    world.end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_chat_and_its_model_agree(
        kept in prop_oneof![Just(0_usize), Just(3), Just(1000)],
        slice in prop_oneof![Just(1_usize), Just(250), Just(64 << 10)],
        ops in proptest::collection::vec(op(), 1..250),
    ) {
        let mut world = World::new(kept, slice);
        ops.iter().for_each(|op| world.step(op));
        world.end();
    }
}
