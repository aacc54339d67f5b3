//! A town with few houses: named users, guests, guests whose name somebody else takes, plain sessions and an operator
//! do whatever comes to their minds, while the tables are too small for all of them and the settings change. The
//! promises hold after every step ([`Stage::check`]), and nothing is left when all have gone.
//!
//! `WALKS=6000 WALK_STEPS=600 cargo test --lib chat::tests::town` walks further than the tests do each time.

use std::cell::RefCell;
use std::rc::Rc;

use super::late::{Gate, Late};
use super::*;
use crate::random::Random;

/// Names with every character that has a meaning anywhere.
const USERS: &[&str] = &["ann", "bob", "c\"t", "d\\n", "e,e", "Zoe\u{308}", "{}", "servers"];
const ROOMS: &[&str] = &["den", "at\"ic", "h\\t", "a,b"];
const STATUSES: &[&str] = &["online", "away", "busy", "offline", "nothing"];
const CALLS: &[Call] = &[
    Call::Publish,
    Call::Broadcast,
    Call::Direct,
    Call::Multicast,
    Call::Create,
    Call::Members,
    Call::Online,
    Call::Kick,
    Call::Kick,
    Call::Disconnect,
    Call::Ban,
    Call::Unban,
    Call::Unban,
    Call::Bans,
];

const AGE: Duration = Duration::from_secs(60);

struct Town {
    stage: Stage,
    random: Random,
    devices: Vec<String>,
    guests: Vec<String>,
    gate: Rc<RefCell<Gate>>,
    calls: u32,
}

fn settings(random: &mut Random) -> Settings {
    Settings {
        empty_room_age: AGE,
        replay_bytes: 300,
        leave_grace: Duration::from_secs(random.below(7)),
        big_room: random.below(4) as usize,
        sessions_per_user: 1 + random.below(4) as usize,
        rooms_per_session: 1 + random.below(3) as usize,
        room_members: 1 + random.below(6) as usize,
        max_rooms: 3,
        max_users: 9,
        ..unhurried()
    }
}

impl Town {
    fn new(seed: u64, late: bool) -> Self {
        let mut random = Random::from(seed);
        let gate = Rc::new(RefCell::new(Gate::Open));
        let settings = settings(&mut random);
        let limits = Limits { age: AGE, direct_conversations: 4, ..last(4) };
        let stage = match late {
            false => Stage::keeping(limits, settings, &[]),
            true => {
                let backend = Late::new(limits, gate.clone());
                Stage::with(settings, Box::new(backend))
            }
        };
        Self { stage, random, devices: Vec::new(), guests: Vec::new(), gate, calls: 0 }
    }

    fn one_of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.random.below(list.len() as u64) as usize].clone()
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.random.below(one_in) == 0
    }

    /// A user's name, now and then that of a guest who was here.
    fn who(&mut self) -> String {
        match self.guests.len() {
            1.. if self.chance(3) => self.one_of(&self.guests.clone()),
            _ => self.one_of(USERS).to_owned(),
        }
    }

    /// The same as JSON.
    fn name(&mut self) -> String {
        serde_json::to_string(&self.who()).unwrap()
    }

    fn room(&mut self) -> String {
        serde_json::to_string(self.one_of(ROOMS)).unwrap()
    }

    fn comes(&mut self, step: usize) {
        let user = match self.who() {
            name if self.chance(3) => {
                drop(name);
                None
            }
            name => Some(user(&name)),
        };
        let door = match user {
            Some(user) if !user.as_str().contains(',') && self.chance(4) => {
                Door::Plain { room: room(self.one_of(ROOMS)), user }
            }
            user => Door::Json { user },
        };
        let door = match self.chance(3) {
            true => {
                let status = self.one_of(&STATUSES[..4]);
                Door::Showing { shows: Shows::parse(status, Some("x")).unwrap(), door: Box::new(door) }
            }
            false => door,
        };
        let device = format!("d{step}");
        self.stage.open(&device, door);
        self.devices.push(device);
    }

    fn goes(&mut self, device: &str) {
        self.stage.closes(device);
        self.devices.retain(|other| other != device);
    }

    /// Any request of a session.
    fn asks(&mut self, step: usize, device: &str) {
        let (room, name, other) = (self.room(), self.name(), self.name());
        let flag = self.chance(2);
        let id = self.random.below(3);
        let text = match self.random.below(18) {
            0..=2 => format!(r#"{{"type":"join","room_id":{room},"history":{}}}"#, self.random.below(6)),
            3 => format!(r#"{{"type":"join","room_id":{room},"user_id":{name}}}"#),
            4 => {
                let more = self.room();
                format!(
                    r#"{{"type":"join","rooms":[{{"room_id":{room},"history":9}},{{"room_id":{more}}}],"id":{id}}}"#
                )
            }
            5 | 6 => format!(r#"{{"type":"leave","room_id":{room}}}"#),
            7 => format!(r#"{{"type":"typing","room_id":{room},"typing":{flag}}}"#),
            8 => format!(r#"{{"type":"typing","user_id":{name},"typing":{flag}}}"#),
            9 => {
                let status = self.one_of(STATUSES);
                format!(r#"{{"type":"status","status":"{status}","note":{name}}}"#)
            }
            10 => format!(r#"{{"type":"presence","user_ids":[{name},{other}],"subscribe":{flag}}}"#),
            11 => format!(r#"{{"type":"presence","room_id":{room},"subscribe":{flag}}}"#),
            12 => format!(r#"{{"type":"direct","user_id":{name},"content":"{step}","id":"{id}"}}"#),
            13 => format!(r#"{{"type":"multicast","user_ids":[{name},{other}],"content":"{step}","id":{id}}}"#),
            14 => format!(r#"{{"type":"broadcast","room_id":"*","content":{name}}}"#),
            15 => format!(r#"{{"type":"create_room","room_id":{room},"name":{name}}}"#),
            16 => format!(r#"{{"type":"members","room_id":{room}}}"#),
            _ => format!(r#"{{"type":"broadcast","room_id":{room},"content":"{step}","id":"{id}"}}"#),
        };
        self.stage.says(device, &text);
    }

    /// Any call of an operator, which has one answer, now or later.
    fn calls(&mut self) {
        let call = self.one_of(CALLS);
        let (room, name, other) = (self.room(), self.name(), self.name());
        let body = match call {
            Call::Publish => format!(r#"{{"room_id":{room},"sender":{name},"content":"x"}}"#),
            Call::Broadcast => r#"{"content":"x"}"#.into(),
            Call::Direct => format!(r#"{{"user_id":{name},"sender":{other},"content":"x"}}"#),
            Call::Multicast => format!(r#"{{"user_ids":[{name},{other}],"content":"x"}}"#),
            Call::Create | Call::Members => format!(r#"{{"room_id":{room}}}"#),
            Call::Kick if self.chance(2) => format!(r#"{{"user_id":{name},"room_id":{room}}}"#),
            Call::Ban if self.chance(2) => format!(r#"{{"user_id":{name},"seconds":{}}}"#, 1 + self.random.below(20)),
            Call::Kick | Call::Ban | Call::Disconnect | Call::Unban => format!(r#"{{"user_id":{name}}}"#),
            _ => String::new(),
        };
        self.calls += 1;
        let conn = ConnId { index: 1000 + self.calls, generation: 1 };
        self.stage.inboxes.insert(conn, Vec::new());
        self.stage.chat.handle_call(conn, call, body.as_bytes(), self.stage.now, &mut self.stage.out);
        self.stage.dispatch();
    }

    /// Each call has one answer at most, and exactly one when nothing waits any more.
    fn check_calls(&mut self, all: bool) {
        let desks: Vec<ConnId> = self.stage.inboxes.keys().copied().filter(|conn| conn.index >= 1000).collect();
        for conn in desks {
            let answers = self.stage.inboxes[&conn].len();
            assert!(answers == 1 || answers == 0 && !all, "{answers} answers to {conn}");
            if answers == 1 {
                self.stage.inboxes.remove(&conn);
            }
        }
    }

    fn step(&mut self, step: usize, late: bool) {
        if late && self.chance(6) {
            *self.gate.borrow_mut() = self.one_of(&[Gate::Open, Gate::Open, Gate::Shut, Gate::Down, Gate::Full]);
            self.stage.hears_the_backend();
        }
        if self.chance(12) {
            self.stage.holds = !self.stage.holds;
            self.stage.dispatch();
        }
        // A session that was closed ends, sooner or later; and there is not room for everybody.
        let device = match self.devices.len() {
            0 => None,
            _ => Some(self.one_of(&self.devices.clone())),
        };
        match (self.random.below(24), device) {
            (_, Some(device)) if self.stage.closed_with(&device).is_some() && self.chance(2) => self.goes(&device),
            (0..=4, _) | (_, None) if self.devices.len() < 14 => self.comes(step),
            (5 | 6, Some(device)) => self.goes(&device),
            (7, _) => {
                let ms = self.random.below(9_000);
                self.stage.waits_ms(ms);
            }
            (8..=10, _) => self.calls(),
            (11, _) if self.chance(3) => {
                let settings = settings(&mut self.random);
                let now = self.stage.now;
                self.stage.chat.change_settings(settings, None, now);
            }
            (_, Some(device)) => self.asks(step, &device),
            (_, None) => {}
        }
        self.check_calls(false);
        for device in self.devices.clone() {
            for text in self.stage.takes(&device) {
                if let Some(name) = text_of(&text, "user_id").filter(|name| name.starts_with("guest-"))
                    && !self.guests.contains(&name)
                {
                    self.guests.push(name);
                }
            }
        }
        // Few are remembered, so that their names are taken while they are here.
        let many = self.guests.len().saturating_sub(3);
        self.guests.drain(..many);
    }

    fn ends(mut self) {
        *self.gate.borrow_mut() = Gate::Open;
        self.stage.holds = false;
        self.stage.hears_the_backend();
        self.stage.dispatch();
        self.check_calls(true);
        for device in self.devices.clone() {
            self.goes(&device);
        }
        self.stage.waits(Duration::from_secs(302));
        self.stage.check_released();
    }
}

fn walk(seed: u64, steps: usize, late: bool) {
    let mut town = Town::new(seed, late);
    for step in 1..=steps {
        town.step(step, late);
    }
    town.ends();
}

/// How many walks of how many steps, unless the environment says so.
fn walks(late: bool) {
    let number = |name: &str, otherwise: u64| {
        std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number of walks"))
    };
    for seed in 0..number("WALKS", 500) {
        println!("seed {seed}, late: {late}");
        walk(seed, number("WALK_STEPS", 60) as usize, late);
    }
}

#[test]
fn a_town_with_few_houses() {
    walks(false);
}

#[test]
fn a_town_whose_store_is_late() {
    walks(true);
}
