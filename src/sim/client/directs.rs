//! What two people say to each other: each device that is connected all the while hears all of it, in order and once;
//! and who was away finds it by `conversations` and `history`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::judge::Judge;
use super::super::network::Network;
use super::super::plan::{Fault, Lasts};
use super::{Client, Phase, message};

impl Client {
    /// Something between its user and another one, or that was done to it.
    pub(super) fn hear_direct(
        &mut self,
        net: &Network,
        judge: &mut Judge,
        kind: &str,
        message: &Value,
    ) -> Result<(), (u8, String)> {
        let (sender, user) = (message::field(message, "sender")?, message::field(message, "user_id")?);
        let seq = message::number(message, "seq")?;
        if kind == "direct" && sender != self.user && user != self.user {
            return Err((9, format!("{} hears what {sender} says to {user}", self.user)));
        }
        let other = if kind != "direct" || sender == self.user { user } else { sender }.to_owned();
        let copies = self.copies.contains(&other);
        let heard = self.directs.entry(other.clone()).or_default();
        let last = heard.last().copied();
        // Short of memory, a store gives up a conversation, which then begins anew.
        if let Some(last) = last.filter(|_| keeps_all(net)) {
            if seq <= last {
                return Err((3, format!("with {other}: {seq} comes after {last}")));
            }
            if seq != last + 1 && !copies {
                return Err((2, format!("with {other}: {seq} comes after {last}")));
            }
        }
        heard.insert(seq);
        if kind != "direct" {
            return Ok(());
        }
        let life = self.life(net);
        judge.hear_direct((sender, user), life, seq, message::field(message, "content")?)?;
        if let Some(at) = message["id"].as_str().and_then(|id| self.outbox.iter().position(|entry| entry.id == id)) {
            let entry = self.outbox.remove(at).expect("it is there");
            if entry.content != message["content"] {
                return Err((1, format!("with {other}: {seq} is not what was said")));
            }
            if let Some(at) = entry.first_sent {
                judge.note_said(&self.user, &other, life, seq, at);
            }
        }
        Ok(())
    }

    /// The life of the store in which what it hears was said. Nodes have one.
    fn life(&self, net: &Network) -> u32 {
        self.link.filter(|_| net.plan.has_one_server()).map_or(0, |link| net.links[link].life)
    }

    /// What was said to its user, or by it on another device, since it is connected, and never came to it.
    pub fn missed_directs(&self, net: &Network, judge: &Judge) -> Option<String> {
        if !net.plan.has_one_server() || self.phase != Phase::On {
            return None;
        }
        let life = self.life(net);
        judge.said_since(&self.user, life, self.welcomed_at).find_map(|(other, seq)| {
            let heard =
                self.copies.contains(other) || self.directs.get(other).is_some_and(|heard| heard.contains(&seq));
            (!heard).then(|| format!("has never heard number {seq} between its user and {other}"))
        })
    }

    /// Asks with whom its user has spoken, if it is the first of its devices: that costs as much as some requests.
    pub fn ask_conversations(&mut self, net: &mut Network) {
        if self.id < net.plan.people {
            self.checked = self.request(net, r#""type":"conversations","limit":24"#, &["conversations"], None);
        }
    }

    /// The conversations of its user, when nobody says anything more: all are there, and the first is read.
    pub(super) fn conversations(
        &mut self,
        net: &mut Network,
        judge: &Judge,
        message: &Value,
    ) -> Result<(), (u8, String)> {
        let life = self.life(net);
        let listed: Vec<(&str, u64)> = message["conversations"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|talk| Some((talk["user_id"].as_str()?, talk["seq"].as_u64()?)))
            .collect();
        if listed.iter().map(|(user, _)| user).collect::<BTreeSet<_>>().len() != listed.len() {
            return Err((5, "a conversation is listed twice".into()));
        }
        if !self.is_checked(message) || message.get("next").is_some() || !keeps_all(net) {
            return Ok(());
        }
        for (other, newest) in judge.talks_of(&self.user, life) {
            let seq = listed.iter().find(|(user, _)| *user == other).map_or(0, |(_, seq)| *seq);
            if seq < newest {
                return Err((2, format!("what was said with {other} goes to {newest}, and conversations says {seq}")));
            }
        }
        if let Some((other, _)) = listed.first() {
            let fields = format!(r#""type":"history","user_id":"{other}","limit":200"#);
            self.checked = self.request(net, &fields, &["history"], None);
        }
        Ok(())
    }

    /// Whether a message answers what was asked when all had said what they had to say.
    fn is_checked(&self, message: &Value) -> bool {
        self.checked.is_some() && self.checked.as_deref() == message["id"].as_str()
    }

    /// A page of what two people have said to each other.
    pub(super) fn page_of_two(&self, net: &Network, judge: &mut Judge, message: &Value) -> Result<(), (u8, String)> {
        let other = message::field(message, "user_id")?;
        let (mut items, mut last) = (BTreeSet::new(), 0);
        for item in message["items"].as_array().into_iter().flatten() {
            let (sender, seq) = (message::field(item, "sender")?, message::number(item, "seq")?);
            if sender != self.user && sender != other {
                return Err((9, format!("what {sender} has said, in a history with {other}")));
            }
            if seq <= last {
                return Err((3, format!("a page with {other} in which {seq} comes after {last}")));
            }
            last = seq;
            items.insert(seq);
        }
        let life = self.life(net);
        // Nobody says anything more: the newest page has all that is not older than its first item.
        if self.is_checked(message) && keeps_all(net) {
            let first = items.first().copied().unwrap_or(1);
            if let Some(missed) =
                judge.numbers_of(&self.user, other, life).find(|seq| *seq >= first && !items.contains(seq))
            {
                return Err((2, format!("number {missed} with {other} is not in the history")));
            }
        }
        Ok(())
    }
}

/// Whether the store gives up nothing but the oldest of each conversation. One on Redis may lose all.
fn keeps_all(net: &Network) -> bool {
    net.plan.has_one_server() && (net.plan.lasts != Lasts::Memory || !net.plan.has(Fault::Memory))
}
