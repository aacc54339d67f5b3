//! The world: the network, the people, and what happens to the machine. It goes on while the server waits.

use std::collections::BTreeMap;
use std::io;

use crate::shown::Shown;

use super::client::{Called, Client};
use super::hostile::Hostile;
use super::judge::Judge;
use super::judging::{ends, presence};
use super::network::{Event, Host, Network, SECOND, StopAmid, Time};
use super::operator::Operator;
use super::plain::Plain;
use super::plan::Fault;

/// Somebody who acts.
#[derive(Debug)]
pub enum Actor {
    /// A client that keeps to the protocol.
    Client(Box<Client>),
    /// One that does not.
    Hostile(Box<Hostile>),
    /// One that speaks the plain dialect.
    Plain(Box<Plain>),
    /// The operator.
    Operator(Box<Operator>),
}

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Faults happen.
    Faulty,
    /// They have ended; all is to be well by then.
    Healing(Time),
    /// All is well, and everybody is asked who is here.
    Asking(Time),
    /// Some have left; the others are to be told so by then.
    Parting(Time),
    /// Everybody has left; nothing is to be left of them by then.
    Leaving(Time),
    /// It is over.
    Over,
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// Links and time.
    pub net: Network,
    /// What was heard.
    pub judge: Judge,
    /// Everybody.
    pub actors: Vec<Actor>,
    /// What is going on.
    pub stage: Stage,
    /// What is known of the loop of each host.
    pub(super) loops: Vec<Loop>,
    /// The node whose turn it was last.
    #[cfg(any(all(test, feature = "redis"), feature = "sim-nodes"))]
    pub(super) last: usize,
    /// Until when something is, or was, wrong between nodes and their Redis.
    pub(super) troubled: Time,
    /// When the server held a connection last whose client was gone.
    haunted: Time,
    /// The connections of all who are to be here, and since when they are the same.
    held: (Vec<Option<usize>>, Time),
    /// The connections over which everybody was asked who is here.
    asked_over: Vec<Option<usize>>,
    /// When that was.
    asked_at: Time,
}

/// The loop of a server, as the world sees it.
#[derive(Debug, Default)]
pub(super) struct Loop {
    /// It waits, until then at the latest.
    #[cfg(any(all(test, feature = "redis"), feature = "sim-nodes"))]
    pub until: Option<Time>,
    /// Its last turn is over then.
    #[cfg(any(all(test, feature = "redis"), feature = "sim-nodes"))]
    pub busy_until: Time,
    /// Idle turns in this second.
    idle: u64,
    idle_second: Time,
    moved: u64,
    pub found_nothing: bool,
}

impl World {
    /// A world with these people.
    pub fn new(net: Network, actors: Vec<Actor>) -> Self {
        let loops = net.hosts.iter().map(|_| Loop::default()).collect();
        Self {
            net,
            judge: Judge::default(),
            actors,
            stage: Stage::Faulty,
            loops,
            #[cfg(any(all(test, feature = "redis"), feature = "sim-nodes"))]
            last: 0,
            troubled: 0,
            haunted: 0,
            held: (Vec::new(), 0),
            asked_over: Vec::new(),
            asked_at: 0,
        }
    }

    /// The server waits, and the world goes on.
    ///
    /// # Errors
    /// The server is no more.
    pub fn wait(&mut self, timeout: Option<Time>) -> io::Result<()> {
        self.note_turn(0);
        self.net.hosts[0].stopped_at = None;
        // A turn takes time.
        self.net.now += self.net.chance.skewed(2, self.net.plan.turn);
        let until = timeout.map_or(Time::MAX, |timeout| self.net.now.saturating_add(timeout));
        while let Some(event) = self.net.next(self.net.now) {
            self.happen(event);
        }
        loop {
            let host = &mut self.net.hosts[0];
            if host.crash.is_some() || self.stage == Stage::Over || self.net.trace.has_failed() {
                return Err(io::Error::other("the server is no more"));
            }
            let frozen = host.frozen_until > self.net.now;
            if !frozen && host.frozen_until > until.saturating_add(NOTICED) {
                host.woken_at = self.net.now;
            }
            if !frozen && host.is_ready() {
                return Ok(());
            }
            let limit = until.max(host.frozen_until);
            match self.net.next(limit) {
                Some(event) => self.happen(event),
                None => {
                    self.net.now = self.net.now.max(limit);
                    self.loops[0].found_nothing = true;
                    return Ok(());
                }
            }
        }
    }

    /// The server asks something of its system amid a turn: there the process may be stopped for a while.
    pub fn amid_a_turn(&mut self, host: usize) {
        if let Some(wait) = self.net.stops_amid(host) {
            self.pass(wait);
            if wait > NOTICED {
                self.net.hosts[host].woken_at = self.net.now;
            }
        }
    }

    /// The world goes on without a server.
    pub fn pass(&mut self, wait: Time) {
        let until = self.net.now + wait;
        while let Some(event) = self.net.next(until) {
            self.happen(event);
        }
        self.net.now = until;
    }

    /// A turn has ended.
    pub(super) fn note_turn(&mut self, host: usize) {
        let (it, machine) = (&mut self.loops[host], &mut self.net.hosts[host]);
        machine.turns += 1;
        let idle = it.found_nothing && machine.moved == it.moved;
        (it.found_nothing, it.moved) = (false, machine.moved);
        let second = self.net.now / SECOND;
        if second != it.idle_second {
            (it.idle, it.idle_second) = (0, second);
        }
        it.idle += u64::from(idle);
        // In a turn one slice of a topic is looked at, and of members that are blocked nothing moves in it.
        let slices = self.net.plan.clients.div_ceil(self.net.plan.settings.engine.sends_per_flush).max(1);
        let most = MOST_IDLE * slices as u64;
        if it.idle > most {
            self.net.trace.fail(10, self.net.now, || format!("{most} turns of a second in which nothing was done"));
        }
    }

    pub(super) fn happen(&mut self, event: Event) {
        let Self { net, judge, actors, .. } = self;
        match event {
            // A machine that stands still hears what is sent again when it runs.
            Event::Knock(link) | Event::Arrive { link, up: true }
                if net.hosts[net.links[link].host].asleep_until > net.now =>
            {
                let again = net.hosts[net.links[link].host].asleep_until + net.chance.skewed(1_000, SECOND);
                net.at(again, event);
            }
            Event::Knock(link) => net.knock(link),
            Event::Arrive { link, up: true } => net.arrive_up(link),
            Event::Arrive { link, up: false } | Event::Read(link) => {
                while let Some(what) = net.arrive_down(link) {
                    match &mut actors[net.links[link].owner] {
                        Actor::Client(client) => client.brought(net, judge, link, what),
                        Actor::Hostile(hostile) => hostile.brought(net, link, what),
                        Actor::Plain(plain) => plain.brought(net, judge, link, what),
                        Actor::Operator(operator) => operator.brought(net, judge, link, what),
                    }
                }
            }
            Event::Answered(link) => match &mut actors[net.links[link].owner] {
                Actor::Client(client) => client.answered(net, link),
                Actor::Hostile(hostile) => hostile.answered(net, link),
                Actor::Plain(plain) => plain.answered(net, judge, link),
                Actor::Operator(operator) => operator.answered(net, judge, link),
            },
            Event::Act(actor) => match &mut actors[actor] {
                Actor::Client(client) => client.act(net, judge),
                Actor::Hostile(hostile) => hostile.act(net),
                Actor::Plain(plain) => plain.act(net),
                Actor::Operator(operator) => operator.act(net, judge),
            },
            Event::Store(host) => net.hosts[host].woken = true,
            // There is one host, whose store has no threads.
            #[cfg(any(all(test, feature = "redis"), feature = "sim-nodes"))]
            Event::Errand(..) => {}
            Event::Strike(fault) => self.strike(fault),
            Event::Lurk(fault) => net.lurking.push(fault),
            Event::Look => {
                self.net.after(SECOND, Event::Look);
                self.look();
            }
        }
    }

    fn strike(&mut self, fault: Fault) {
        let net = &mut self.net;
        let host = match net.hosts.len() as u64 {
            1 => 0,
            hosts => net.chance.below(hosts) as usize,
        };
        if !net.faulty || !net.hosts[host].up {
            return;
        }
        net.trace.tell(net.now, || format!("fault: {} at {host}", fault.word()));
        let it = &mut net.hosts[host];
        match fault {
            Fault::Crash => it.crash = Some(false),
            Fault::Power => it.crash = Some(true),
            Fault::Freeze => {
                let (wait, with_machine) = net.draw_standstill();
                let it = &mut net.hosts[host];
                if it.frozen_until > net.now {
                    return;
                }
                // Between two turns, or amid one. What a node does beside its loop knows no such stop.
                if net.plan.has_one_server() && net.chance.one_in(2) {
                    let behind_a_part = net.chance.one_in(2);
                    let calls = net.chance.skewed(1, if behind_a_part { 8 } else { 40 });
                    it.stop_amid = Some(StopAmid { wait, with_machine, calls, behind_a_part });
                    return;
                }
                it.frozen_until = net.now + wait;
                it.thawed = it.frozen_until;
                // The process alone, or the machine.
                if with_machine {
                    it.asleep_until = it.frozen_until;
                }
            }
            Fault::Wall => {
                let jump = net.chance.skewed(1, 7_200_000).cast_signed();
                net.wall += if net.chance.one_in(2) { jump } else { -jump };
            }
            Fault::Drain => {
                it.stop = true;
                // Some operators send people away while it stops.
                if net.chance.one_in(2) {
                    net.hurry_until = net.now + 5 * SECOND;
                    net.after(1_000, Event::Act(self.actors.len() - 1));
                }
            }
            Fault::Reload => it.reload = true,
            _ => {}
        }
    }

    /// The process stands still for a while.
    #[cfg(test)]
    pub fn freeze(&mut self, wait: Time) {
        let host = &mut self.net.hosts[0];
        host.frozen_until = self.net.now + wait;
        host.thawed = host.frozen_until;
    }

    /// The server is here again.
    pub fn come_up(&mut self) {
        self.net.come_up(0);
        self.judge.life = self.net.hosts[0].life;
    }

    /// Since when all servers can run, and nothing is wrong any more.
    pub(super) fn calm_since(&self) -> Time {
        let thawed = self.net.hosts.iter().map(|host| host.thawed).max();
        self.net.plan.faulty.max(self.troubled).max(thawed.unwrap_or(0))
    }

    /// Once a second.
    fn look(&mut self) {
        self.look_at_deadlines();
        let now = self.net.now;
        for host in 0..self.net.hosts.len() {
            ends::look_at_time(&mut self.net, host);
        }
        let here = self.actors.iter().filter_map(|actor| match actor {
            Actor::Client(client) => client.welcomed().map(|(link, since)| (&*client.user, link, since)),
            Actor::Plain(plain) => plain.entered().map(|(link, since)| (&*plain.user, link, since)),
            _ => None,
        });
        let here: Vec<_> = here.collect();
        self.judge.told.look(&mut self.net, &here);
        presence::look(self);
        if self.net.holds_one_that_is_gone(self.net.plan.clients + self.net.plan.ways.plain) {
            self.haunted = now;
        }
        let held = self.connections();
        if held != self.held.0 {
            self.held = (held, now);
        }
        match self.stage {
            Stage::Faulty if now >= self.net.plan.faulty => {
                self.net.faulty = false;
                self.stage = Stage::Healing(now + self.net.plan.healing);
                self.net.trace.tell(now, || "the faults end".into());
            }
            Stage::Healing(until) => {
                let banned = !self.judge.banned.is_empty();
                for actor in &mut self.actors {
                    match actor {
                        Actor::Client(client) => {
                            client.rests = true;
                            if !banned {
                                client.come_back(now);
                            }
                        }
                        Actor::Plain(plain) => plain.rests = true,
                        _ => {}
                    }
                }
                match self.unwell() {
                    // A client that is gone without a word is here until that is noticed, and for a grace.
                    // So is a call of the operator that was on its way when the faults ended.
                    // And so are requests that a process had not heard before it stood still.
                    // Somebody who has lost a connection, and is back without a room, is in that for a grace.
                    None if !banned
                        && now > self.haunted.max(self.calm_since()) + HAUNTED_FOR
                        && now > self.held.1 + GRACE =>
                    {
                        for actor in &mut self.actors {
                            if let Actor::Client(client) = actor {
                                client.members.clear();
                                client.ask_members(&mut self.net, true);
                                client.ask_conversations(&mut self.net);
                                client.ask_rooms(&mut self.net);
                            }
                        }
                        presence::begin(self);
                        (self.asked_over, self.asked_at) = (self.connections(), now);
                        self.stage = Stage::Asking(until);
                    }
                    Some((who, why)) if now > until => {
                        self.net.trace.fail(16, now, || {
                            format!(
                                "{} s after the faults have ended client {who} {why}",
                                self.net.plan.healing / SECOND
                            )
                        });
                    }
                    _ => {}
                }
            }
            // Somebody has come or gone since all were asked: they are asked once more.
            Stage::Asking(until) if self.connections() != self.asked_over => {
                if now > until {
                    self.net.trace.fail(16, now, || "people come and go without end when faults have ended".into());
                }
                self.stage = Stage::Healing(until);
            }
            Stage::Asking(until) => {
                if self.unwell().is_none() {
                    if let Some(client) = self.ask_once_more() {
                        if now > until {
                            self.net.trace.fail(16, now, || format!("client {client} is not told who is in its rooms"));
                        }
                        return;
                    }
                    if let Some(mistaken) = self.mistaken() {
                        if now > self.asked_at + TOLD_WITHIN {
                            self.net.trace.fail(17, now, || mistaken);
                        }
                        return;
                    }
                    if !presence::is_over(self, self.asked_at) {
                        return;
                    }
                    if let Some(mistaken) = presence::mistaken(self, self.asked_at, true) {
                        return self.net.trace.fail(17, now, || mistaken);
                    }
                    self.compare_members();
                    self.compare_messages();
                    self.compare_topics();
                    self.leave(|user| user.ends_with(['0', '2', '4', '6', '8']));
                    self.stage = Stage::Parting(now + LEFT_WITHIN);
                } else if now > until {
                    self.stage = Stage::Healing(now);
                }
            }
            // Some are gone, and those who stay are told so.
            Stage::Parting(until) => {
                let wrong = presence::parts(self)
                    .or_else(|| presence::mistaken(self, self.asked_at, false))
                    .or_else(|| self.mistaken());
                match wrong {
                    Some(_) if now <= until => {}
                    Some(wrong) => self.net.trace.fail(17, now, || wrong),
                    None => {
                        self.leave(|_| true);
                        self.stage = Stage::Leaving(now + LEFT_WITHIN);
                    }
                }
            }
            Stage::Leaving(until) if now > until => {
                let heard = [
                    self.judge.look_at_plain(),
                    self.judge.look_at_acknowledged(),
                    self.judge.told.look_at_published(|content| self.judge.places_of(content)),
                ];
                for (invariant, wrong) in heard.into_iter().filter_map(Result::err) {
                    self.net.trace.fail(invariant, now, || wrong);
                }
                self.stage = Stage::Over;
            }
            _ => {}
        }
    }

    /// These leave for good.
    fn leave(&mut self, whoever: impl Fn(&str) -> bool) {
        for actor in &mut self.actors {
            match actor {
                Actor::Client(client) if whoever(&client.user) => client.leave_for_good(&mut self.net),
                Actor::Plain(plain) if whoever(&plain.user) => plain.leave_for_good(&mut self.net),
                Actor::Operator(operator) => operator.rests = true,
                _ => {}
            }
        }
    }

    /// The connections of all who are to be here. Somebody who is turned away each time, and comes again, is not.
    fn connections(&self) -> Vec<Option<usize>> {
        let link = |actor: &Actor| match actor {
            Actor::Client(client) => client.link(),
            Actor::Plain(plain) => plain.link().filter(|_| plain.is_inside()),
            _ => None,
        };
        self.actors.iter().map(link).collect()
    }

    fn unwell(&self) -> Option<(usize, String)> {
        self.actors.iter().find_map(|actor| match actor {
            Actor::Client(client) => client.unwell(&self.net, &self.judge).map(|why| (client.id, why)),
            Actor::Plain(plain) => plain.unwell(&self.net).map(|why| (plain.id, why)),
            _ => None,
        })
    }

    /// A client that was not told who is in its rooms, as one that has asked faster than it may: one of each user asks
    /// once more.
    fn ask_once_more(&mut self) -> Option<usize> {
        let mut asked = BTreeMap::new();
        for actor in &mut self.actors {
            if let Actor::Client(client) = actor
                && !client.knows_members()
                && !asked.contains_key(&client.user)
            {
                client.ask_members(&mut self.net, false);
                asked.insert(client.user.clone(), client.id);
            }
        }
        asked.into_values().next()
    }

    /// The users who are in a room, each as often as they are.
    fn inside(&self, room: &str) -> Vec<&str> {
        let inside = self.actors.iter().filter_map(|actor| match actor {
            Actor::Client(client) => client.epoch_of(room).map(|_| client.user.as_str()),
            Actor::Plain(plain) => (plain.is_inside() && plain.room == room).then_some(plain.user.as_str()),
            _ => None,
        });
        inside.collect()
    }

    /// Somebody who was told of others in a room than are there.
    fn mistaken(&self) -> Option<String> {
        if !self.net.plan.has_one_server() {
            return None;
        }
        let told = self.actors.iter().flat_map(|actor| match actor {
            Actor::Client(client) => client.crowds().map(|(room, crowd)| (client.id, room, crowd)).collect(),
            Actor::Plain(plain) if plain.is_inside() => vec![(plain.id, plain.room.as_str(), plain.crowd())],
            _ => Vec::new(),
        });
        told.into_iter().find_map(|(id, room, crowd)| {
            let here = self.inside(room);
            let agrees = crowd.is_some_and(|crowd| crowd.agrees(here.iter().copied(), true));
            (!agrees).then(|| format!("actor {id} was told that {crowd:?} are in {room}, where {here:?} are"))
        })
    }

    /// All agree on who is here.
    fn compare_members(&mut self) {
        let clients = || {
            self.actors.iter().filter_map(|actor| match actor {
                Actor::Client(client) => Some(client),
                _ => None,
            })
        };
        for client in clients() {
            if let Some(missed) = client.missed_directs(&self.net, &self.judge) {
                return self.net.trace.fail(2, self.net.now, || format!("client {} {missed}", client.id));
            }
            for (room, members) in &client.members {
                let mut here = self.inside(room);
                here.sort_unstable();
                here.dedup();
                // Those who were hostile are gone, or will be.
                let mut said: Vec<&str> =
                    members.iter().map(String::as_str).filter(|user| !user.starts_with('h')).collect();
                said.sort_unstable();
                if here != said {
                    let text = format!("client {} hears that {said:?} are in {room}, where {here:?} are", client.id);
                    return self.net.trace.fail(16, self.net.now, || text);
                }
            }
        }
    }

    /// All who are in a room and show a message show the same, whatever was done to it: who have heard it and all that
    /// was done live, who were away meanwhile, and who came when it had been done.
    fn compare_messages(&mut self) {
        let mut known: BTreeMap<(&str, &str, u64), (usize, &Shown)> = BTreeMap::new();
        for actor in &self.actors {
            let Actor::Client(client) = actor else { continue };
            for (room, epoch, folded) in client.shows() {
                for (seq, shown) in &folded.0 {
                    let (other, first) = *known.entry((room, epoch, *seq)).or_insert((client.id, shown));
                    if !first.agrees(shown) {
                        let (one, two) = (client.id, other);
                        let text =
                            format!("client {one} shows {room}/{epoch}/{seq} as {shown:?}, client {two} as {first:?}");
                        return self.net.trace.fail(16, self.net.now, || text);
                    }
                }
            }
        }
    }

    /// All are answered the same about a room, and were told of it: what it is called, and is about.
    fn compare_topics(&mut self) {
        // One that Redis has lost in a room in which nothing was said since is told of again by nobody.
        if self.net.plan.has(Fault::RedisLost) {
            return;
        }
        let mut known: BTreeMap<&str, (usize, &Called)> = BTreeMap::new();
        for actor in &self.actors {
            let Actor::Client(client) = actor else { continue };
            for (room, told, answered) in client.called() {
                let Some(answered) = answered else { continue };
                let (other, first) = *known.entry(room).or_insert((client.id, answered));
                let (one, two) = (client.id, other);
                if answered != first || told.is_some_and(|told| told != first) {
                    let heard = format!("was told that {room} is {told:?}, and answered {answered:?}");
                    let text = format!("client {one} {heard}, client {two} {first:?}");
                    return self.net.trace.fail(16, self.net.now, || text);
                }
            }
        }
    }

    /// A connection from which nothing comes ends.
    fn look_at_deadlines(&mut self) {
        for host in 0..self.net.hosts.len() {
            self.look_at_deadlines_of(host);
        }
    }

    fn look_at_deadlines_of(&mut self, host: usize) {
        let net = &mut self.net;
        let Host { up, frozen_until, thawed, .. } = net.hosts[host];
        if !up || frozen_until >= net.now {
            return;
        }
        let waits = net.waits_to_be_accepted(host).min(net.now - thawed.min(net.now));
        if waits > SLACK {
            let waits = waits as f64 / 1e6;
            net.trace.fail(11, net.now, || format!("a connection waits for {waits:.1} s, and is not accepted"));
        }
        let unserved = self.actors.iter().find_map(|actor| match actor {
            Actor::Client(client) if client.link().is_none_or(|link| net.links[link].host == host) => {
                let over = client.overstays(net, thawed).filter(|over| *over > OVERSTAYS);
                over.map(|over| (client.id, over))
            }
            _ => None,
        });
        if let Some((client, over)) = unserved {
            let over = over as f64 / 1e6;
            net.trace.fail(11, net.now, || format!("client {client} is served {over:.1} s after its token has ended"));
        }
        let engine = &net.plan.settings.engine;
        let close = 2 * micros(engine.close_within);
        let upgraded = micros(engine.ping_after.unwrap_or_default() + engine.pong_within) + close + SLACK;
        let others = micros(engine.idle_within.max(engine.head_within)) + close + SLACK;
        let late = net.live.iter().find_map(|&link| {
            let it = &net.links[link];
            if it.owed_much || it.host != host {
                return None;
            }
            // One that takes less than comes is not asked, and its pace is judged instead.
            let asked = if it.upgraded { it.starved_until } else { 0 };
            let silent = net.now - it.last_up.max(thawed).max(asked);
            // One that takes nothing cannot be asked, and has a deadline of its own.
            let most = match (it.upgraded, net.takes_all(link)) {
                (true, true) => upgraded,
                (true, false) => others + upgraded,
                (false, _) => others,
            };
            // One that has ended its side, or has broken the connection, is let go soon.
            let ended = it.ended.map_or(0, |at| net.now - at.max(thawed).max(it.accepted_at));
            let most_ended = if net.takes_all(link) { close + SLACK } else { others };
            let found = match (ended > most_ended, silent > most) {
                (true, _) => Some((it.owner, "has ended its side", ended)),
                (_, true) => Some((it.owner, "has sent nothing", silent)),
                _ => None,
            };
            found.filter(|_| net.is_served(link))
        });
        if let Some((owner, what, since)) = late {
            let since = since as f64 / 1e6;
            net.trace.fail(11, net.now, || format!("actor {owner} {what} for {since:.1} s, and is still served"));
        }
    }
}

fn micros(duration: std::time::Duration) -> Time {
    duration.as_micros() as Time
}

/// Turns of a second in which nothing is found and nothing is done, for each slice in which a topic of all is served.
const MOST_IDLE: u64 = 400;

/// A wait that takes so much longer than it was to take shows the server that it has stood still.
pub(super) const NOTICED: Time = SECOND + SECOND / 10;

/// For how long somebody is shown at most whose connection has ended.
const HAUNTED_FOR: Time = 15 * SECOND;

/// For how long somebody is in a room at most without a connection: `leave_grace` is 8 s at most, and a look comes once
/// a second.
const GRACE: Time = 10 * SECOND;

/// By how much a deadline may be late: a look comes once a second.
const SLACK: Time = 3 * SECOND;

/// A session without a token that holds has heard of its end by then: what is on the way to it may be late.
const OVERSTAYS: Time = 10 * SECOND;

/// Whatever has changed of who is in a room is told by then: in a big room by the next list, and of those who were
/// hostile when their connections have ended.
const TOLD_WITHIN: Time = LEFT_WITHIN;

/// When nothing is left of those who have left.
const LEFT_WITHIN: Time = 90 * SECOND;
