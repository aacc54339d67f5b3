//! What a session may have, and what it may not: it asks for that too, and is refused. What it finds, is told or is
//! shown is of rooms that it is in, of what it has said and was told itself, and of people whom it watches.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::judge::{Judge, Put};
use super::super::network::{Network, Time};
use super::super::plan::Fault;
use super::{Client, message, room_name};

impl Client {
    /// Asks something of a room that it is not in, and has not asked for: nothing but a refusal may answer.
    pub(super) fn ask_for_too_much(&mut self, net: &mut Network) {
        let rooms = net.plan.rooms as u64;
        // Perhaps one that there is not.
        let name = room_name(net.chance.below(rooms + 1));
        if self.rooms.contains_key(&name) || self.joins.iter().any(|wanted| wanted.room == name) {
            return;
        }
        let fields = match net.chance.below(9) {
            0 => format!(r#""type":"history","room_id":"{name}""#),
            1 => format!(r#""type":"members","room_id":"{name}""#),
            2 => format!(r#""type":"broadcast","room_id":"{name}","content":"from outside {}""#, self.drawn),
            3 => format!(r#""type":"edit","room_id":"{name}","of":1,"content":"from outside""#),
            4 => format!(r#""type":"delete","room_id":"{name}","of":1"#),
            5 => format!(r#""type":"react","room_id":"{name}","of":1,"emoji":":x:","on":true"#),
            6 => format!(r#""type":"presence","room_id":"{name}""#),
            7 => format!(r#""type":"typing","room_id":"{name}","typing":true"#),
            _ => format!(r#""type":"search","room_id":"{name}","text":"edited""#),
        };
        self.ask(net, &fields, &[], Some(name));
    }

    /// Whether it was in a room at any time since then.
    fn was_inside(&self, room: &str, since: Time) -> bool {
        let inside = self.rooms.get(room).is_some_and(|room| room.inside);
        inside || self.left_at.get(room).is_some_and(|at| *at >= since)
    }

    /// Looks whether it may know what a message says.
    pub(super) fn may_know(
        &mut self,
        net: &Network,
        judge: &Judge,
        kind: &str,
        message: &Value,
    ) -> Result<(), (u8, String)> {
        let asking = message["id"].as_str().and_then(|id| self.ids.get(id)).cloned().unwrap_or_default();
        let list = |name: &str| message[name].as_array().into_iter().flatten();
        match kind {
            "found" => {
                for hit in list("items") {
                    self.may_find(hit, asking.at)?;
                }
            }
            "members" | "history" if message.get("room_id").is_some() => {
                let room = message::field(message, "room_id")?;
                if !self.was_inside(room, asking.at) {
                    return Err((9, format!("{kind} of {room}, which it is not in")));
                }
            }
            "rooms" => {
                for listed in list("rooms") {
                    self.may_list(net, judge, listed, asking.at)?;
                }
            }
            "joined" => self.has_read_no_more(judge, message)?,
            "read" => {
                let place = message["room_id"].as_str().or(message["user_id"].as_str()).unwrap_or_default();
                let seq = message["seq"].as_u64().unwrap_or(0);
                if judge.marked(&self.user, place).is_none_or(|most| seq > most) {
                    return Err((9, format!("{place} counts as read up to {seq}, which the user has not asked for")));
                }
            }
            "presence" => {
                let user = message::field(message, "user_id")?;
                if !self.watches.contains(user) {
                    return Err((9, format!("the presence of {user}, whom it does not watch")));
                }
            }
            "presence_state" => {
                let shown: BTreeSet<&str> =
                    message["users"].as_object().into_iter().flatten().map(|(user, _)| user.as_str()).collect();
                if shown != asking.users.iter().map(String::as_str).collect() {
                    return Err((9, format!("the presence of {shown:?}, and it has asked for {:?}", asking.users)));
                }
                match asking.subscribe {
                    Some(true) => self.watches.extend(asking.users),
                    Some(false) => self.watches.retain(|user| !asking.users.contains(user)),
                    None => {}
                }
            }
            "ack" if asking.kind == "multicast" && message.get("ts").is_none() => {
                let names = ["delivered", "stored", "unknown", "missed", "failed"].into_iter().flat_map(list);
                let mut names: Vec<&str> = names.filter_map(Value::as_str).collect();
                names.sort_unstable();
                if names != BTreeSet::from_iter(asking.users.iter().map(String::as_str)).into_iter().collect::<Vec<_>>()
                {
                    return Err((5, format!("a multicast to {:?} is answered for {names:?}", asking.users)));
                }
            }
            "online" => {
                let names: Vec<&str> = list("users").filter_map(Value::as_str).collect();
                let whole =
                    message.get("next").is_none() && names.len() as u64 == message["count"].as_u64().unwrap_or(0);
                if !names.is_sorted() || whole && !names.contains(&self.user.as_str()) {
                    return Err((17, format!("{names:?} are online, and {} hears it", self.user)));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn may_find(&self, hit: &Value, since: Time) -> Result<(), (u8, String)> {
        let (sender, content) = (message::field(hit, "sender")?, message::field(hit, "content")?);
        if !content.contains("edited") {
            return Err((1, "something is found that has not the words that were asked for".into()));
        }
        match (hit["room_id"].as_str(), hit["user_id"].as_str()) {
            (Some(room), _) if !self.was_inside(room, since) => {
                Err((9, format!("it finds what {sender} has said in {room}, which it is not in")))
            }
            (_, Some(user)) if sender != self.user && sender != user => {
                Err((9, format!("it finds what {sender} has said, with {user}")))
            }
            _ => Ok(()),
        }
    }

    fn may_list(&self, net: &Network, judge: &Judge, listed: &Value, since: Time) -> Result<(), (u8, String)> {
        let (name, joined) = (message::field(listed, "room_id")?, listed["joined"].as_bool().unwrap_or(false));
        if self.is_denied(name, None) {
            return Err((9, format!("{name} is listed, which its token is not for")));
        }
        let comes = self.joins.iter().any(|wanted| wanted.room == name);
        let stays = |room: &super::Room| room.inside && !room.leaving && room.inside_at < since;
        // One who is put out is in the room no more at once, and hears `left` behind what was said before, which a
        // store may have to bring.
        let put = judge.was_put(Put::OutOfRoom, &self.user) || self.was_denied(name);
        let gone = !joined && !put && self.rooms.get(name).is_some_and(stays);
        if joined && !self.was_inside(name, since) && !comes || gone {
            return Err((5, format!("{name} is listed with joined: {joined}")));
        }
        // What the user has read of a room that the session has come into since stands in its `joined`; and a store
        // that fails keeps nobody from seeing the rooms.
        match listed.get("read").is_some()
            || joined && self.rooms.get(name).is_some_and(stays) && !net.plan.has(Fault::Fail)
        {
            true => self.has_read_no_more(judge, listed),
            false => Ok(()),
        }
    }

    /// What the user has read of a room is what a device of it has said.
    fn has_read_no_more(&self, judge: &Judge, message: &Value) -> Result<(), (u8, String)> {
        let (room, read) = (message::field(message, "room_id")?, message::number(message, "read")?);
        message::number(message, "unread")?;
        if read > judge.marked(&self.user, room).unwrap_or(0) {
            return Err((9, format!("{room} counts as read up to {read}, which the user has not asked for")));
        }
        Ok(())
    }
}
