//! Clients that speak the plain dialect: what they say is a message, verbatim, and what they hear has four fields.
//! There are no numbers and no replay: what one of them hears is put beside what was said when all is over
//! ([`Judge::look_at_plain`]).

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Map, Value};

use crate::proto::client_handshake::ClientRequest;
use crate::proto::frame::{Opcode, encode_masked_frame};
use crate::proto::handshake::Accept;

use super::client::{Crowd, mask, room_name};
use super::frames::{Heard, Reader};
use super::judge::{self, Judge};
use super::network::{Brought, Event, Network, PUBLIC, SECOND, Time};
use super::plan::Fault;

/// A client that speaks the plain dialect.
#[derive(Debug)]
pub struct Plain {
    /// Which actor it is.
    pub id: usize,
    /// Its user.
    pub user: String,
    /// The room of its address.
    pub room: String,
    address: IpAddr,
    link: Option<usize>,
    reader: Reader,
    phase: Phase,
    heard_at: Time,
    entered_at: Time,
    /// What it has said and not heard.
    said: VecDeque<String>,
    drawn: u64,
    /// Which of what the judge knows is of this connection.
    record: usize,
    /// The people of its room, as it was told of them.
    crowd: Option<Crowd>,
    big: usize,
    /// Names follow a coming or a going.
    names_follow: bool,
    /// When it came last it was told that the room has no room for it.
    turned_away: bool,
    /// It says nothing new.
    pub rests: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting(Time),
    /// Since then.
    Opening(Time),
    /// It has not heard of its own coming.
    Entering(Time),
    On,
    Left,
}

impl Plain {
    /// One that has not come yet: of so many that there are, in one of so many rooms.
    pub fn new(id: usize, number: usize, rooms: usize) -> Self {
        Self {
            id,
            user: format!("p{}", number % 3),
            room: room_name((number % rooms) as u64),
            address: IpAddr::V4(Ipv4Addr::new(10, 7, number as u8, 1)),
            link: None,
            reader: Reader::default(),
            phase: Phase::Waiting(0),
            heard_at: 0,
            entered_at: 0,
            said: VecDeque::new(),
            drawn: 0,
            record: 0,
            crowd: None,
            big: 0,
            names_follow: false,
            turned_away: false,
            rests: false,
        }
    }

    /// Whether it is in its room.
    pub fn is_inside(&self) -> bool {
        self.phase == Phase::On
    }

    /// The people of its room, as it was told of them.
    pub fn crowd(&self) -> Option<&Crowd> {
        self.crowd.as_ref().filter(|_| self.is_inside())
    }

    /// The connection that it has, if it has one.
    pub fn link(&self) -> Option<usize> {
        self.link
    }

    /// The connection over which it has come into its room, and when.
    pub fn entered(&self) -> Option<(usize, Time)> {
        Some((self.link.filter(|_| self.is_inside())?, self.entered_at))
    }

    /// Whether it is in its room and has heard what it has said. If not: why.
    pub fn unwell(&self, net: &Network) -> Option<String> {
        match self.phase {
            _ if self.turned_away => None,
            Phase::On if self.link.is_some_and(|link| !net.takes_all(link)) => {
                Some("(plain) has not taken what was sent to it, perhaps its end".into())
            }
            Phase::On if self.link.is_some_and(|link| net.is_served(link)) => {
                // Of frames that came too fast not each is told.
                let said = self.said.front().filter(|_| net.plan.settings.chat.rate.is_none())?;
                Some(format!("(plain) has not heard {said:.20}, which it has said"))
            }
            phase => Some(format!("(plain) is not in {}: {phase:?}", self.room)),
        }
    }

    /// Leaves for good.
    pub fn leave_for_good(&mut self, net: &mut Network) {
        self.part(net);
        self.phase = Phase::Left;
    }

    /// Whether it has left for good.
    pub fn has_left(&self) -> bool {
        self.phase == Phase::Left
    }

    /// Does something, and comes again after a while.
    pub fn act(&mut self, net: &mut Network) {
        let pause = net.plan.pause.min(500_000);
        let wait = net.chance.within(pause / 2, pause * 3 / 2);
        net.after(wait, Event::Act(self.id));
        let now = net.now;
        match self.phase {
            Phase::Waiting(until) if until <= now => {
                let link = net.connect(self.id, PUBLIC, self.address);
                self.link = Some(link);
                self.phase = Phase::Opening(now);
            }
            Phase::Opening(since) | Phase::Entering(since) if now - since > 15 * SECOND => {
                self.turned_away = false;
                self.lose(net);
            }
            // It is asked whether it is there far sooner.
            Phase::On if now - self.heard_at > 60 * SECOND => self.lose(net),
            Phase::On => {
                let Some(link) = self.link else { return };
                if net.strikes(Fault::Reset) && net.chance.one_in(10) {
                    net.reset(link);
                    self.lose(net);
                } else if net.strikes(Fault::Stall) && net.chance.one_in(4) {
                    let wait = net.chance.skewed(10_000, 20 * SECOND);
                    net.stall(link, wait);
                } else if !self.rests && net.chance.below(net.plan.pause) < wait {
                    self.live(net, link);
                }
            }
            _ => {}
        }
    }

    fn live(&mut self, net: &mut Network, link: usize) {
        if net.chance.one_in(40) {
            self.part(net);
            return;
        }
        self.drawn += 1;
        let mut text = format!("p{}-{} ", self.id, self.drawn);
        for _ in 0..net.chance.skewed(0, 900) {
            text.push(*net.chance.pick(&['a', 'b', ' ', '"', '\n', 'é']));
        }
        let most = net.plan.settings.chat.content_bytes;
        while text.len() > most {
            text.pop();
        }
        net.trace.tell(net.now, || format!("plain {} > {text:.100}", self.id));
        let mut out = Vec::new();
        encode_masked_frame(Opcode::Text, text.as_bytes(), mask(net), &mut out);
        net.send(link, &out);
        self.said.push_back(text);
    }

    /// Closes its connection in order, and comes back later.
    fn part(&mut self, net: &mut Network) {
        if let Some(link) = self.link {
            let mut out = Vec::new();
            encode_masked_frame(Opcode::Close, &1000_u16.to_be_bytes(), mask(net), &mut out);
            net.send(link, &out);
        }
        self.lose(net);
    }

    fn lose(&mut self, net: &mut Network) {
        net.trace.tell(net.now, || format!("plain {}: its connection ends, while {:?}", self.id, self.phase));
        if let Some(link) = self.link.take() {
            net.close(link);
        }
        self.said.clear();
        let wait = net.chance.skewed(100_000, 10 * SECOND);
        self.phase = Phase::Waiting(net.now + wait);
    }

    /// The connection stands, or is refused.
    pub fn answered(&mut self, net: &mut Network, judge: &mut Judge, link: usize) {
        if self.link != Some(link) {
            return;
        }
        if !net.stands(link) {
            return self.lose(net);
        }
        let mut nonce = [1; 16];
        nonce[..8].copy_from_slice(&net.chance.draw().to_le_bytes());
        let target = format!("/ws/{}?username={}", self.room, self.user);
        let request = ClientRequest::new("salon", nonce).target(&target);
        let mut head = Vec::new();
        request.encode(&mut head).expect("nothing in it that may not stand in a head");
        self.reader = Reader::new(Accept::of_key(&request.key()).as_str().to_owned());
        self.record = judge.plain.len();
        let (room, lost, life) = (self.room.clone(), judge.lost, judge.life);
        judge.plain.push(judge::Plain { room, lost, life, heard: Vec::new() });
        self.heard_at = net.now;
        self.names_follow = false;
        (self.crowd, self.big) = (None, net.plan.settings.chat.big_room);
        net.send(link, &head);
    }

    /// Something has come.
    pub fn brought(&mut self, net: &mut Network, judge: &mut Judge, link: usize, what: Brought) {
        if self.link != Some(link) {
            return;
        }
        let Brought::Bytes(bytes) = what else { return self.lose(net) };
        self.reader.push(&bytes);
        while self.link == Some(link) {
            match self.reader.next() {
                Ok(Some(heard)) => self.hear(net, judge, link, heard),
                Ok(None) => break,
                Err(wrong) => {
                    let invariant = if self.reader.is_closed() { 8 } else { 13 };
                    return net.trace.fail(invariant, net.now, || format!("plain {}: {wrong}", self.id));
                }
            }
        }
    }

    fn hear(&mut self, net: &mut Network, judge: &mut Judge, link: usize, heard: Heard) {
        let now = net.now;
        self.heard_at = now;
        match heard {
            Heard::Upgraded => {
                self.phase = Phase::Entering(now);
                net.links[link].upgraded = true;
            }
            Heard::Response(code, _) => {
                if !matches!(code, 408 | 429 | 503) {
                    net.trace.fail(13, now, || format!("plain {}: its upgrade is answered {code}", self.id));
                }
                net.links[link].turned_away = true;
                self.turned_away = false;
                self.lose(net);
            }
            Heard::Ping(payload) => {
                let (mut out, key) = (Vec::new(), mask(net));
                encode_masked_frame(Opcode::Pong, &payload, key, &mut out);
                net.send(link, &out);
            }
            Heard::Pong(_) => {}
            Heard::Close(code) => {
                if matches!(code, 1002 | 1003 | 1007 | 1009 | 1011 | 4001) {
                    net.trace.fail(8, now, || format!("plain {}: it is closed with {code}", self.id));
                }
                net.links[link].turned_away = self.phase != Phase::On;
                self.turned_away = self.phase != Phase::On && matches!(code, 1008 | 1013);
                let mut out = Vec::new();
                encode_masked_frame(Opcode::Close, &code.to_be_bytes(), mask(net), &mut out);
                net.send(link, &out);
                self.lose(net);
            }
            Heard::Text(text) => {
                net.trace.tell(now, || format!("plain {} < {text:.200}", self.id));
                let taken = match serde_json::from_str::<Map<String, Value>>(&text) {
                    Ok(message) => self.take(judge, &message),
                    Err(error) => Err((13, format!("no object of JSON: {error}"))),
                };
                if let Err((invariant, wrong)) = taken {
                    net.trace.fail(invariant, now, || format!("plain {}: {wrong} ({text:.300})", self.id));
                }
            }
        }
    }

    fn take(&mut self, judge: &mut Judge, message: &Map<String, Value>) -> Result<(), (u8, String)> {
        let field = |name: &str| {
            message.get(name).and_then(Value::as_str).ok_or_else(|| (13, format!("a message without {name}")))
        };
        let (kind, content, room, username) = (field("type")?, field("content")?, field("room")?, field("username")?);
        if message.len() != 4 {
            return Err((13, "a message with other fields than four".into()));
        }
        if room != self.room && kind != "error" {
            return Err((9, format!("{kind} of {room:?}, and it is in {:?}", self.room)));
        }
        if std::mem::take(&mut self.names_follow) != (kind == "online_users") && !self.hears_of_a_crowd(kind) {
            return Err((13, "online_users follows each coming and going, and comes at no other time".into()));
        }
        match kind {
            "user_joined" if matches!(self.phase, Phase::Entering(_)) => {
                if username != self.user {
                    return Err((9, format!("the first that it hears is of {username}, and it is {}", self.user)));
                }
                (self.phase, self.names_follow, self.turned_away) = (Phase::On, true, false);
                self.entered_at = self.heard_at;
            }
            // It has no word for which of them is refused.
            "error" => self.said.clear(),
            _ if self.phase != Phase::On => return Err((13, format!("{kind} before its own coming"))),
            "user_joined" | "user_left" => {
                let verb = if kind == "user_joined" { "joined" } else { "left" };
                if content != format!("{username} {verb} the room") {
                    return Err((13, "another content than that of a coming or a going".into()));
                }
                self.names_follow = true;
                if let Some(crowd) = &mut self.crowd {
                    match kind {
                        "user_joined" => crowd.joins(username, self.big),
                        _ => crowd.leaves(username),
                    }
                    .map_err(|wrong| (17, wrong))?;
                }
            }
            "online_users" => {
                let names: Vec<&str> = content.split(',').collect();
                if !names.is_sorted() {
                    return Err((13, "names that are not sorted".into()));
                }
                if let Some(crowd) = self.crowd.as_ref().filter(|crowd| !crowd.agrees(names.iter().copied(), false)) {
                    return Err((17, format!("others are here than those it was told of: {:?}", crowd.users)));
                }
                // How many there are in a big room is not said.
                let count = (names.len() < self.big).then_some(names.len() as u64);
                let users = names.iter().map(|&name| name.to_owned()).collect();
                self.crowd = Some(Crowd::listed(users, names.len(), count, self.big).map_err(|wrong| (17, wrong))?);
            }
            "chat" => {
                let heard = &mut judge.plain[self.record].heard;
                if username == self.user && heard.iter().any(|other| other == content) {
                    return Err((3, "what it has said comes twice".into()));
                }
                heard.push(content.to_owned());
                if username == self.user
                    && let Some(place) = self.said.iter().position(|said| said == content)
                {
                    // Those before it were refused: an error has no word for which.
                    self.said.drain(..=place);
                }
            }
            other => return Err((13, format!("a message of the type {other}"))),
        }
        Ok(())
    }

    /// Names that come by themselves are those of a crowd, of which comings and goings are not told.
    fn hears_of_a_crowd(&self, kind: &str) -> bool {
        kind == "online_users" && self.phase == Phase::On
    }
}

#[cfg(test)]
mod tests {
    use std::io::IoSlice;

    use super::*;

    /// In seed 2028566 the room of one had no place in `max_rooms`: it came again and again, and each time that was
    /// held to be somebody new who is here.
    #[test]
    fn who_is_turned_away_each_time_is_not_awaited() {
        let (mut net, link) = Network::standing(1);
        let mut judge = Judge::default();
        let mut plain = Plain::new(0, 0, 1);
        (plain.phase, plain.link) = (Phase::Entering(0), Some(link));
        plain.hear(&mut net, &mut judge, link, Heard::Close(1013));
        assert_eq!(plain.unwell(&net), None);
        // As in seed 2612: nobody waits until the server holds none of its connections.
        assert!(net.is_let_go(link) && net.is_served(link) && !net.holds_one_that_is_gone(1));
        (plain.phase, plain.link) = (Phase::Opening(0), Some(link));
        plain.answered(&mut net, &mut judge, link);
        assert_eq!(plain.unwell(&net), None);
        plain.hear(&mut net, &mut judge, link, Heard::Response(503, Vec::new()));
        assert!(plain.unwell(&net).is_some(), "that is no word of its room");
    }

    /// The server may have parted with one that has not taken all: in seed 411761 it had.
    #[test]
    fn who_has_not_read_all_is_not_well() {
        let (mut net, link) = Network::standing(1);
        let mut plain = Plain::new(0, 0, 1);
        (plain.phase, plain.link) = (Phase::On, Some(link));
        assert_eq!(plain.unwell(&net), None);
        net.write(link, &[IoSlice::new(b"\x88\x00")]).expect("there is room");
        assert!(plain.unwell(&net).is_some());
        net.now += 10 * SECOND;
        while net.arrive_down(link).is_some() {}
        assert_eq!(plain.unwell(&net), None);
    }
}
