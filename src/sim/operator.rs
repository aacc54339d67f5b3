//! An operator, who calls by the admin port: kicks, bans, looks.

use serde_json::Value;

use super::client::{room_name, user_name};
use super::frames::{Heard, Reader};
use super::judge::{Judge, Put};
use super::network::{ADMIN, Brought, Event, Network, SECOND, Time};
use super::plan::{Fault, NEAR};

/// An operator.
#[derive(Debug)]
pub struct Operator {
    id: usize,
    link: Option<usize>,
    reader: Reader,
    call: Option<Call>,
    /// When it was sent.
    called_at: Time,
    /// All have left: there is nothing more to call for.
    pub rests: bool,
}

#[derive(Clone, Debug)]
enum Call {
    Kick { user: String, room: Option<String> },
    Disconnect(String),
    Ban(String, u64),
    Unban(String),
    Bans,
    Publish(String, String),
    Look(&'static str),
}

impl Operator {
    /// One who has not called yet.
    pub fn new(id: usize) -> Self {
        Self { id, link: None, reader: Reader::default(), call: None, called_at: 0, rests: false }
    }

    /// Calls, and calls again after a while.
    pub fn act(&mut self, net: &mut Network, judge: &Judge) {
        let hurries = net.faulty && net.now < net.hurry_until;
        let wait = if hurries { net.chance.within(20_000, 300_000) } else { net.chance.within(SECOND / 2, 4 * SECOND) };
        net.after(wait, Event::Act(self.id));
        if let Some(link) = self.link.take() {
            // No answer by now, as from a server that stands still.
            net.close(link);
        }
        let (people, rooms) = (net.plan.people as u64, net.plan.rooms as u64);
        let mut user = user_name(net.chance.below(people));
        if net.chance.one_in(6) {
            // Perhaps somebody hostile.
            user = format!("h{}", (net.plan.clients + net.plan.ways.plain) as u64 + net.chance.below(6));
        }
        let room = room_name(net.chance.below(rooms));
        self.call = if self.rests {
            None
        } else if !net.faulty {
            // All are to be let in again. A ban that was on its way while its name was let in is found by looking: it
            // may last for longer than was meant, since it ends by a wall clock that is set back.
            Some(judge.banned.last().cloned().map_or(Call::Bans, Call::Unban))
        } else if hurries {
            Some(Call::Kick { user, room: None })
        } else if net.strikes(Fault::Kick) {
            let room = net.chance.one_in(2).then_some(room);
            Some(if net.chance.one_in(4) { Call::Disconnect(user) } else { Call::Kick { user, room } })
        } else if net.strikes(Fault::Ban) {
            let banned: Vec<String> = judge.banned.iter().cloned().collect();
            match banned.is_empty() || net.chance.one_in(2) {
                true => Some(Call::Ban(user, net.chance.skewed(1, 60))),
                false => Some(Call::Unban(net.chance.pick(&banned).clone())),
            }
        } else {
            match net.chance.below(8) {
                0 => Some(Call::Look("/metrics")),
                1 => Some(Call::Look("/top")),
                2 => Some(Call::Look("/connections?limit=3")),
                3 => Some(Call::Look("/health")),
                4 => Some(Call::Publish(room, format!("from the operator {}", net.now))),
                _ => None,
            }
        };
        if self.call.is_some() {
            self.link = Some(net.connect(self.id, ADMIN, NEAR));
            self.reader = Reader::default();
        }
    }

    /// The connection stands, or is refused.
    pub fn answered(&mut self, net: &mut Network, judge: &mut Judge, link: usize) {
        if self.link != Some(link) {
            return;
        }
        let Some(call) = self.call.clone().filter(|_| net.stands(link)) else {
            net.close(link);
            self.link = None;
            return;
        };
        match &call {
            Call::Kick { user, room: None } => judge.put(Put::Kicked, user),
            Call::Kick { user, room: Some(_) } => judge.put(Put::OutOfRoom, user),
            Call::Ban(user, _) => judge.put(Put::Banned, user),
            Call::Disconnect(user) => judge.put(Put::Disconnected, user),
            _ => {}
        }
        let (path, body) = match call {
            Call::Look(path) => {
                net.send(link, format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").as_bytes());
                return;
            }
            Call::Kick { user, room: Some(room) } => ("kick", format!(r#"{{"user_id":"{user}","room_id":"{room}"}}"#)),
            Call::Kick { user, room: None } => ("kick", format!(r#"{{"user_id":"{user}"}}"#)),
            Call::Disconnect(user) => ("disconnect", format!(r#"{{"user_id":"{user}","code":4200}}"#)),
            Call::Ban(user, seconds) => {
                judge.banned.insert(user.clone());
                judge.told.perhaps_let_in(&user);
                ("ban", format!(r#"{{"user_id":"{user}","seconds":{seconds}}}"#))
            }
            Call::Unban(user) => {
                judge.told.perhaps_let_in(&user);
                ("unban", format!(r#"{{"user_id":"{user}"}}"#))
            }
            Call::Bans => ("bans", "{}".to_owned()),
            Call::Publish(room, content) => ("publish", format!(r#"{{"room_id":"{room}","content":"{content}"}}"#)),
        };
        self.called_at = net.now;
        net.trace.tell(net.now, || format!("operator > {path} {body}"));
        let head = format!(
            "POST /api/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        net.send(link, (head + &body).as_bytes());
    }

    /// Something has come.
    pub fn brought(&mut self, net: &mut Network, judge: &mut Judge, link: usize, what: Brought) {
        if self.link != Some(link) {
            return;
        }
        match what {
            Brought::Bytes(bytes) => {
                self.reader.push(&bytes);
                match self.reader.next() {
                    Ok(Some(Heard::Response(code, body))) => {
                        let text = String::from_utf8_lossy(&body).into_owned();
                        net.trace.tell(net.now, || format!("operator < {code} {text:.60}"));
                        self.judge(net, judge, code, &text);
                        net.close(link);
                        self.link = None;
                    }
                    Ok(None) => {}
                    Ok(Some(other)) => net.trace.fail(13, net.now, || format!("an operator hears {other:?}")),
                    Err(wrong) => net.trace.fail(13, net.now, || format!("an operator hears: {wrong}")),
                }
            }
            Brought::End | Brought::Reset => {
                net.close(link);
                self.link = None;
            }
        }
    }

    fn judge(&mut self, net: &mut Network, judge: &mut Judge, code: u16, text: &str) {
        let Some(call) = self.call.take() else { return };
        let json = serde_json::from_str::<Value>(text);
        if json.is_err() && !matches!(call, Call::Look("/metrics")) {
            return net.trace.fail(13, net.now, || format!("{call:?} is answered {code} {text}"));
        }
        if !matches!(code, 200 | 404 | 409 | 429 | 503) {
            return net.trace.fail(13, net.now, || format!("{call:?} is answered {code} {text}"));
        }
        let (asked, now, life) = (self.called_at, net.now, net.hosts[0].life);
        if code == 200
            && net.plan.has_one_server()
            && let Call::Kick { user, room: None } | Call::Disconnect(user) | Call::Ban(user, _) = &call
        {
            judge.told.sent_away(user, asked, now);
        }
        match (call, json) {
            (Call::Ban(user, seconds), _) if code == 200 && net.plan.has_one_server() => {
                judge.told.banned(&user, life, (asked, now), seconds)
            }
            (Call::Publish(room, content), Ok(answer)) if code == 200 && net.plan.has_one_server() => {
                let Some(seq) = answer["seq"].as_u64() else {
                    return net.trace.fail(13, now, || format!("a publish is answered {text}"));
                };
                judge.told.published(&room, seq, &content);
            }
            (Call::Unban(user), _) if code == 200 => drop(judge.banned.remove(&user)),
            (Call::Bans, Ok(page)) if code == 200 => {
                let bans = page["bans"].as_array().into_iter().flatten();
                judge.banned.extend(bans.filter_map(|ban| ban["user_id"].as_str().map(str::to_owned)));
            }
            _ => {}
        }
    }
}
