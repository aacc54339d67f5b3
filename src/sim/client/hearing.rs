//! What a client hears, message by message: each is held to `docs/wire.md`, and moves what the client has.
//!
//! A message that is wrong is an error: the number of the invariant that does not hold, and what is wrong.

use serde_json::Value;

use crate::shown::{Folded, Shown};

use super::super::judge::{Entry, Judge, Put};
use super::super::network::Network;
use super::super::plan::Fault;
use super::kept::Replay;
use super::message::{field, number, text};
use super::{BACKOFF_BASE, CAREFUL_RATE, Client, Phase, Room, SLOW_FOR, TRIES_MAX, Wanted};

/// So often is a room asked for that has no place when all is to be well: for longer than it takes until those who have
/// gone without a word are noticed (ping, pong and grace are 43 s), and for about a minute at most.
const GIVES_UP_AFTER: u32 = 5;

impl Client {
    pub(super) fn take(&mut self, net: &mut Network, judge: &mut Judge, message: &Value) -> Result<(), (u8, String)> {
        super::fields::look_at(message)?;
        let kind = field(message, "type")?;
        if (self.phase == Phase::On) == (kind == "welcome") && kind != "goodbye" && kind != "error" {
            return Err((13, "welcome is the first message, and no other one".into()));
        }
        let id = text(message, "id");
        if let Some(id) = id {
            let Some(asking) = self.ids.get_mut(id) else {
                return Err((9, format!("an answer to {id}, which this connection has not sent")));
            };
            asking.answered += 1;
            if asking.answered > asking.sent {
                return Err((5, format!("a second answer to {id}")));
            }
        }
        let room = text(message, "room_id");
        if OF_A_ROOM.contains(&kind) && room.is_some_and(|room| self.is_denied(room, message["ts"].as_u64())) {
            return Err((9, format!("{kind} of {room:?}, which its token is not for")));
        }
        self.shows_nobody_who_hides(net, kind, message)?;
        if net.plan.has_one_server() {
            self.may_know(net, judge, kind, message)?;
        }
        let inside = |room: Option<&str>| room.and_then(|room| self.rooms.get(room)).is_some_and(|room| room.inside);
        match kind {
            "welcome" => {
                self.welcome(net, message)?;
                if let Some(link) = self.link {
                    judge.told.welcome(&self.user, link, net)?;
                }
                judge.meet(&self.user, self.link.map_or(0, |link| net.links[link].life), net.now);
                self.watch_some(net);
                self.pump_joins(net);
                self.pump_outbox(net);
            }
            "joined" => self.joined(net, message)?,
            "left" => {
                let room = room.ok_or((13, "left without room_id".to_owned()))?.to_owned();
                let cause = match text(message, "reason") {
                    Some("kicked") => judge.was_put(Put::OutOfRoom, &self.user),
                    None => id.is_some() || self.was_denied(&room),
                    Some(_) => false,
                };
                if !cause {
                    return Err((5, format!("it is put out of {room} without a cause")));
                }
                self.rooms.remove(&room);
                self.forgets_typists(&room);
                self.left_at.insert(room.clone(), net.now);
                self.outbox.retain(|entry| entry.room.as_ref() != Some(&room));
            }
            "broadcast" if room == Some("*") => {}
            "broadcast" | "edited" | "deleted" | "reaction" if room.is_some() => {
                if kind == "broadcast" {
                    self.has_stopped_typing(net, message)?;
                }
                self.entry(judge, kind, message)?;
            }
            "direct" | "edited" | "deleted" | "reaction" => self.hear_direct(net, judge, kind, message)?,
            "gap" => self.gap(net, message)?,
            "online_users" => {
                self.online_users(net, judge, message)?;
                of_one_server(net, self.crowd_is_listed(net, message))?;
            }
            "user_joined" | "user_left" => of_one_server(net, self.crowd_changes(net, kind, message))?,
            "typing" if room.is_some() && !inside(room) => {
                return Err((9, format!("{kind} of {room:?}, which it is not in")));
            }
            "typing" => self.hear_typing(net, message)?,
            "topic" => self.hear_topic(message)?,
            "presence" => self.hear_presence(message)?,
            "presence_state" => {
                let asking = id.and_then(|id| self.ids.get(id)).cloned().unwrap_or_default();
                self.hear_presence_state(net, &asking, message)?;
            }
            "goodbye" => {
                let after = message["after_ms"].as_u64().unwrap_or(0) * 1000;
                self.goodbye = Some((message["reconnect"].as_bool().unwrap_or(true), after));
            }
            "error" => {
                self.may_be_refused(net, judge, message)?;
                return self.error(net, message);
            }
            "ack" => {
                self.token_is_taken(net, message)?;
                if let Some((id, asking)) = id.and_then(|id| Some((id, self.ids.get(id)?.clone()))) {
                    self.hear_shown(id, &asking);
                }
                self.ack(judge, message)?;
            }
            "pong" => {
                let (address, life) = (self.address, self.link.map_or(0, |link| net.links[link].life));
                if let Some(rate) = net.plan.settings.chat.rate.filter(|_| !net.plan.has(Fault::Wall)) {
                    let ts = number(message, "ts")?;
                    judge.pass((&self.user, address, life), ts, u64::from(rate.per_second), u64::from(rate.burst))?;
                }
            }
            "members" => {
                of_one_server(net, self.crowd_is_as_told(net, message))?;
                let names = message["members"].as_array().into_iter().flatten();
                let names = names.filter_map(|member| text(member, "user_id").map(str::to_owned)).collect();
                self.members.insert(room.unwrap_or_default().to_owned(), names);
            }
            "conversations" => self.conversations(net, judge, message)?,
            _ => {}
        }
        if let Some(asked) = id.and_then(|id| self.asked.remove(id))
            && !asked.by.contains(&kind)
        {
            return Err((5, format!("a request for {:?} is answered by {kind}", asked.by)));
        }
        match kind {
            "history" if room.is_some() => {
                self.page(net, judge, message)?;
                if net.plan.has_one_server() {
                    self.page_is_whole(net, judge, message)?;
                }
            }
            "history" => self.page_of_two(net, judge, message)?,
            _ => {}
        }
        if kind == "room" {
            self.room_as_it_is(net, message)?;
            self.called_as_told(net, message)?;
        }
        if matches!(kind, "ack" | "broadcast" | "direct" | "joined") {
            self.pump_outbox(net);
        }
        Ok(())
    }

    fn welcome(&mut self, net: &mut Network, message: &Value) -> Result<(), (u8, String)> {
        if field(message, "user_id")? != self.user {
            return Err((9, format!("{} is welcomed under another name", self.user)));
        }
        if field(message, "durability")? != net.plan.lasts.word() {
            return Err((4, "another durability than that of the store".into()));
        }
        let limits = &message["limits"];
        let limit = |name: &str| limits[name].as_u64().ok_or((13, format!("a welcome without limits.{name}")));
        (self.join_rooms, self.content_bytes) = (limit("join_rooms")? as usize, limit("content_bytes")? as usize);
        let per_second = limits["rate"]["per_second"].as_u64().unwrap_or(CAREFUL_RATE);
        self.pace = 1_200_000 / per_second.max(1);
        self.ping_every = number(message, "ping_interval_ms")? * 1000;
        self.phase = Phase::On;
        self.holds_token(net, message)?;
        self.welcomed_at = net.now;
        (self.next_join, self.next_send, self.slow_until) = (0, 0, 0);
        Ok(())
    }

    fn joined(&mut self, net: &mut Network, message: &Value) -> Result<(), (u8, String)> {
        let (name, epoch) = (field(message, "room_id")?, field(message, "epoch")?.to_owned());
        let seq = number(message, "seq")?;
        let recovered = message["recovered"].as_bool().ok_or((13, "joined without recovered".to_owned()))?;
        if !self.rooms.contains_key(name) {
            // It was put out while it asked again, and leaves.
            // Where the join that lets it in began is forgotten.
            self.rooms.insert(name.to_owned(), Room { leaving: true, history: 1, ..Room::default() });
            let fields = format!(r#""type":"leave","room_id":"{name}""#);
            self.ask(net, &fields, &["left"], Some(name.to_owned()));
        }
        let wanted = self.take_wanted(name, text(message, "id"));
        let room = self.rooms.get_mut(name).expect("it is there now");
        room.asked = None;
        room.tries = 0;
        if room.inside {
            // It has begun anew, and is told of from the beginning.
            if room.epoch.as_ref() != Some(&epoch) {
                let ahead = room.ahead.take().filter(|(of, _)| *of == epoch).map_or(0, |(_, to)| to);
                if recovered {
                    return Err((2, "recovered, though the numbers have begun anew".into()));
                }
                (room.seq, room.replay_to, room.fresh, room.begins) = (ahead, Some(seq), false, ahead == 0);
                room.called = None;
                (room.folded, room.epoch, room.named) = (Folded::default(), Some(epoch), (ahead > 0).then_some(ahead));
            }
            return Ok(());
        }
        (room.ahead, room.inside, room.inside_at, room.crowd, room.called) = (None, true, net.now, None, None);
        room.replay_to = Some(seq);
        (room.fresh, room.begins, room.named) = (false, true, None);
        let since = room.since.take();
        let known = wanted.is_some();
        let (since, history) = wanted.map_or((since, room.history), |wanted| (wanted.since, wanted.history));
        let begun = room.replay.begin(net, (&epoch, seq, recovered), since.as_ref(), history);
        match known {
            true => begun?,
            // What that one asked for is forgotten.
            false => room.replay = Replay { anew: true, ..Replay::default() },
        }
        match since {
            Some((of, heard)) if of == epoch && heard <= seq => room.seq = heard,
            Some(_) => (room.seq, room.folded) = (0, Folded::default()),
            None if history > 0 => (room.seq, room.fresh, room.folded) = (0, true, Folded::default()),
            None => (room.seq, room.folded) = (seq, Folded::default()),
        }
        room.epoch = Some(epoch.clone());
        if room.old.is_none() || net.chance.one_in(10) {
            room.old = Some((epoch, room.seq));
        }
        Ok(())
    }

    /// What the `join` has asked for that is answered: a `joined` may answer one of an earlier stay.
    fn take_wanted(&mut self, room: &str, id: Option<&str>) -> Option<Wanted> {
        let answers = |wanted: &Wanted| wanted.room == room && id.map_or(wanted.listed, |id| wanted.id == id);
        let at = self.joins.iter().position(answers)?;
        Some(self.joins.remove(at))
    }

    /// The next entry of a room.
    fn entry(&mut self, judge: &mut Judge, kind: &str, message: &Value) -> Result<(), (u8, String)> {
        let (name, sender, seq) = (field(message, "room_id")?, field(message, "sender")?, number(message, "seq")?);
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.inside) else {
            return Err((9, format!("{kind} of {name}, which it is not in")));
        };
        if seq <= room.seq && !room.fresh {
            return Err((3, format!("{name}: {seq} comes after {}", room.seq)));
        }
        if seq != room.seq + 1 && !room.fresh {
            return Err((2, format!("{name}: {seq} comes after {}, and no gap names the hole", room.seq)));
        }
        (room.seq, room.fresh, room.begins) = (seq, false, false);
        room.replay.first.get_or_insert(seq);
        let epoch = room.epoch.clone().unwrap_or_default();
        let said = entry_of(kind, sender, message)?;
        let content = said.said.clone();
        judge.hear(name, &epoch, seq, said)?;
        room.folded.hear(message, &self.user).map_err(|wrong| (13, format!("{name}: {seq}: {wrong}")))?;
        if let Some(id) = text(message, "id") {
            if sender != self.user {
                return Err((9, format!("the id {id} on a message of {sender}")));
            }
            if let Some(at) = self.outbox.iter().position(|entry| entry.id == id) {
                let entry = self.outbox.remove(at).expect("it is there");
                if content.as_ref().is_some_and(|content| *content != entry.content) {
                    return Err((1, format!("{name}: {seq} is not what was said")));
                }
                judge.acknowledge(name, &epoch, seq, &entry.content);
            }
        }
        Ok(())
    }

    fn gap(&mut self, net: &Network, message: &Value) -> Result<(), (u8, String)> {
        let (name, from, to) = (field(message, "room_id")?, number(message, "from")?, number(message, "to")?);
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.inside) else {
            return Err((9, format!("a gap of {name}, which it is not in")));
        };
        if room.epoch.as_deref() != text(message, "epoch") {
            // The room begins anew, as the next message says.
            if from == 1 && text(message, "why") == Some("epoch_changed") {
                room.ahead = text(message, "epoch").map(|epoch| (epoch.to_owned(), to));
                return Ok(());
            }
            return Err((2, format!("a gap of {name} in another epoch")));
        }
        if to < from || from != room.seq + 1 && !room.fresh {
            return Err((2, format!("{name}: a gap from {from} to {to} after {}", room.seq)));
        }
        let why = field(message, "why")?;
        if net.plan.has_one_server() {
            room.lacks(why, to, room.begins)?;
        }
        if why == "epoch_changed" && room.begins {
            room.named = Some(to);
        }
        (room.seq, room.fresh, room.begins) = (to, false, false);
        room.folded.forget(to);
        Ok(())
    }

    fn online_users(&mut self, net: &Network, judge: &Judge, message: &Value) -> Result<(), (u8, String)> {
        let name = field(message, "room_id")?;
        // This ends what was left out of a room, or is the next list of a big one.
        self.knows_no_typists(name);
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.inside) else {
            return Err((9, format!("online_users of {name}, which it is not in")));
        };
        if let Some(to) = room.replay_to.take() {
            if room.fresh {
                (room.seq, room.fresh) = (to, false);
            }
            if room.seq < to {
                return Err((2, format!("{name}: the replay ends at {}, and joined said {to}", room.seq)));
            }
            if let Some(named) = room.named.take() {
                let kept = to.saturating_sub(net.plan.keeps());
                let epoch = room.epoch.as_deref().unwrap_or_default();
                if kept < named && judge.messages(name, epoch, named + 1, to) < NEWEST {
                    let missed = judge.messages(name, epoch, kept + 1, named);
                    if missed > 0 {
                        let text = format!("{name}: a gap up to {named} has {missed} messages in it that are kept");
                        return Err((2, text));
                    }
                }
            }
        }
        if net.plan.has_one_server() { room.has_caught_up(net, judge, name) } else { Ok(()) }
    }

    /// Up to where the session has heard a room in this life of it, if it hears the room live.
    pub(super) fn hears_live(&self, net: &Network, room: &str, epoch: &str) -> Option<u64> {
        let link = self.link.filter(|link| !net.links[*link].choked)?;
        let live = |room: &&Room| room.inside && room.replay_to.is_none() && room.epoch.as_deref() == Some(epoch);
        self.rooms.get(room).filter(live).filter(|_| net.links[link].upgraded).map(|room| room.seq)
    }

    /// What a room is like.
    fn room_as_it_is(&self, net: &Network, message: &Value) -> Result<(), (u8, String)> {
        let (name, epoch, seq) = (field(message, "room_id")?, field(message, "epoch")?, number(message, "seq")?);
        match self.hears_live(net, name, epoch) {
            Some(heard) if heard < seq => {
                Err((2, format!("{name}: an answer says that it goes to {seq}, and {heard} was heard last")))
            }
            _ => Ok(()),
        }
    }

    /// A page of history.
    fn page(&mut self, net: &Network, judge: &mut Judge, message: &Value) -> Result<(), (u8, String)> {
        let (Some(name), Some(epoch)) = (text(message, "room_id"), text(message, "epoch")) else { return Ok(()) };
        let mut last = 0;
        for item in message["items"].as_array().into_iter().flatten() {
            let seq = number(item, "seq")?;
            if seq <= last {
                return Err((3, format!("a page of {name} in which {seq} comes after {last}")));
            }
            last = seq;
            if let Some(heard) = self.hears_live(net, name, epoch)
                && heard < seq
            {
                return Err((2, format!("{name}: a page has {seq}, and {heard} was heard last")));
            }
            let read = Shown::of(item, &self.user).map_err(|wrong| (13, format!("{name}: {seq}: {wrong}")))?;
            // A session that hears a room live shows what stands in it.
            let live = self.hears_live(net, name, epoch).and_then(|_| self.rooms.get(name));
            if let Some(shown) = live.and_then(|room| room.folded.0.get(&seq))
                && !shown.agrees(&read)
            {
                return Err((1, format!("{name}: {seq} is shown as {shown:?}, and a page has {read:?}")));
            }
            judge.hear(name, epoch, seq, entry_of("broadcast", field(item, "sender")?, item)?)?;
        }
        Ok(())
    }

    fn ack(&mut self, judge: &mut Judge, message: &Value) -> Result<(), (u8, String)> {
        let Some(id) = text(message, "id") else { return Err((5, "an ack without id".into())) };
        let Some(at) = self.outbox.iter().position(|entry| entry.id == id) else { return Ok(()) };
        let entry = self.outbox.remove(at).expect("it is there");
        if message["seq"].as_u64().is_none() {
            return Err((4, "a message is acknowledged that has no number yet".into()));
        }
        if let (Some(room), Some(seq)) = (&entry.room, message["seq"].as_u64())
            && let Some(known) = self.rooms.get(room)
            && message["dup"].as_bool() != Some(true)
            && let Some(epoch) = known.epoch.as_ref().filter(|_| !judge.renumbered)
        {
            judge.acknowledge(room, epoch, seq, &entry.content);
        }
        Ok(())
    }

    fn error(&mut self, net: &mut Network, message: &Value) -> Result<(), (u8, String)> {
        let now = net.now;
        let code = field(message, "code")?;
        let retry = message["retry"].as_bool().ok_or((13, "an error without retry".to_owned()))?;
        let after = message["retry_after_ms"].as_u64().map(|wait| wait * 1000);
        self.token_is_refused(net, message, code)?;
        self.hurries_back |= code == "rate_limited" && self.manner.hasty && !self.rests && net.chance.one_in(8);
        let (id, room) = (text(message, "id").map(str::to_owned), text(message, "room_id"));
        match (room, &id) {
            (Some(room), id) => drop(self.take_wanted(room, id.as_deref())),
            // A list that is refused whole.
            (None, Some(id)) => self.joins.retain(|wanted| wanted.id != *id),
            (None, None) => {}
        }
        let mut joins = Vec::new();
        for (name, it) in &mut self.rooms {
            let of_list = id.is_none() && room == Some(name) && it.asked.is_some();
            if of_list || it.asked.is_some() && it.asked == id && room.is_none_or(|room| room == name) {
                joins.push(name.clone());
            }
        }
        let faulty = net.faulty;
        if let Some(asked) = id.as_ref().and_then(|id| self.asked.remove(id))
            && let Some(room) = asked.room.as_ref().and_then(|room| self.rooms.get_mut(room))
        {
            // A refused `leave` leaves it inside.
            room.leaving &= !asked.by.contains(&"left");
        }
        for name in joins {
            let room = self.rooms.get_mut(&name).expect("it is listed");
            room.asked = None;
            room.tries += 1;
            let ceiling = BACKOFF_BASE << room.tries.min(6);
            room.not_before = now + after.unwrap_or(ceiling) + net.chance.below(ceiling);
            if code == "rate_limited" {
                self.next_join = room.not_before;
                room.tries -= 1;
            } else if !retry || !faulty && room.tries > GIVES_UP_AFTER {
                self.rooms.remove(&name);
            }
        }
        if let Some(at) = id.and_then(|id| self.outbox.iter().position(|entry| entry.id == id)) {
            let entry = &mut self.outbox[at];
            entry.unanswered = entry.unanswered.saturating_sub(1);
            if retry && entry.tries < TRIES_MAX {
                entry.tries += u32::from(code != "rate_limited");
                entry.link = None;
                // A try before it may wait still, or be done.
                if entry.unanswered == 0 && code == "rate_limited" {
                    entry.first_sent = None;
                }
                entry.not_before = now + after.unwrap_or_else(|| net.chance.below(BACKOFF_BASE << entry.tries.min(5)));
                if code == "rate_limited" {
                    self.slow_until = now + SLOW_FOR;
                    self.next_send = self.outbox[at].not_before;
                }
            } else {
                self.outbox.remove(at);
            }
        }
        Ok(())
    }
}

/// What only members of a room hear.
const OF_A_ROOM: [&str; 9] =
    ["joined", "broadcast", "edited", "deleted", "reaction", "gap", "online_users", "user_joined", "user_left"];

/// So many messages are replayed to a reader of another life of the room, if they are kept.
const NEWEST: u64 = 50;

fn entry_of(kind: &str, sender: &str, message: &Value) -> Result<Entry, (u8, String)> {
    let changed = message.get("edited").is_some() || message.get("deleted").is_some();
    let said = text(message, "content").filter(|_| kind == "broadcast" && !changed);
    if kind == "broadcast" && said.is_none() && !changed {
        return Err((13, "a message without content".into()));
    }
    let of = if kind == "broadcast" { 0 } else { number(message, "of")? };
    let ts = number(message, "ts")?;
    Ok(Entry { kind: kind.to_owned(), sender: sender.to_owned(), of, ts, said: said.map(str::to_owned) })
}

/// What is told of comings and goings adds up exactly at one server alone: between nodes who comes may be told of
/// behind who goes, and that all agree in the end is looked at then.
fn of_one_server(net: &Network, heard: Result<(), (u8, String)>) -> Result<(), (u8, String)> {
    match heard {
        Err((17, _)) if !net.plan.has_one_server() => Ok(()),
        heard => heard,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::plan::{Manner, NEAR};
    use super::super::REQUESTS_MAX;
    use super::*;

    /// In seed 505118 a client that had asked much meant to leave, and waited for the answer to what it had not said.
    #[test]
    fn a_client_that_leaves_says_so_however_much_it_has_asked() {
        let (mut net, _) = Network::standing(1);
        let manner = Manner { quiet: false, deflate: None, hasty: false };
        let mut client = Client::new(0, "u0".into(), NEAR, manner, std::iter::empty());
        client.phase = Phase::On;
        for _ in 0..REQUESTS_MAX + 9 {
            client.ask(&mut net, r#""type":"online""#, &["online"], None);
        }
        assert_eq!(client.asked.len(), REQUESTS_MAX);
        client.ask(&mut net, r#""type":"leave","room_id":"den""#, &["left"], Some("den".into()));
        assert_eq!(client.asked.len(), REQUESTS_MAX + 1);
    }

    /// In seed 431702 a hasty client was refused, came back and asked too fast until the end, and was in no room then.
    #[test]
    fn a_client_that_rests_does_not_hurry() {
        let (mut net, _) = Network::standing(1);
        let manner = Manner { quiet: false, deflate: None, hasty: true };
        let mut client = Client::new(0, "u0".into(), NEAR, manner, std::iter::empty());
        let error = json!({"type":"error","code":"rate_limited","message":"","retry":true,"retry_after_ms":1});
        for rests in [false, true] {
            (client.rests, client.hurries_back) = (rests, false);
            for _ in 0..200 {
                client.error(&mut net, &error).expect("it is one of docs/wire.md");
            }
            assert_eq!(client.hurries_back, !rests);
        }
    }

    /// In seed 6006177 too many devices of two users came back again and again, and each time began anew to ask for a
    /// room that had no place in `max_rooms`.
    #[test]
    fn a_client_that_rests_gives_up_a_room_that_has_no_place_over_any_connection() {
        let (mut net, _) = Network::standing(1);
        net.faulty = false;
        let manner = Manner { quiet: false, deflate: None, hasty: false };
        let error = json!({"type":"error","id":"1","room_id":"den","code":"overloaded","message":"","retry":true});
        for rests in [false, true] {
            let mut client = Client::new(0, "u0".into(), NEAR, manner, std::iter::once("den".to_owned()));
            client.rests = rests;
            for _ in 0..20 {
                client.rooms.entry("den".into()).and_modify(|room| room.asked = Some("1".into()));
                client.error(&mut net, &error).expect("it is one of docs/wire.md");
                client.drop_link();
            }
            assert_eq!(client.rooms.contains_key("den"), !rests);
        }
    }
}
