//! What is kept of a room is heard: a gap names nothing that is, a reader to whom nothing is missing is told so, and a
//! page of the history has no holes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::judge::Judge;
use super::super::network::Network;
use super::{Client, Room, message};

/// A replay as it comes.
#[derive(Clone, Debug, Default)]
pub(super) struct Replay {
    /// The room is in another life than the one that was asked for: the newest messages come, and what follows.
    pub anew: bool,
    /// So many messages were asked for, the newest.
    pub newest: u64,
    /// The first number that was heard.
    pub first: Option<u64>,
    /// How far gaps have gone that named what is not kept.
    pub expired: Option<u64>,
}

impl Replay {
    /// A `join` is answered: it asked for what follows this, in this life of the room.
    pub fn begin(
        &mut self,
        net: &Network,
        (epoch, seq, recovered): (&str, u64, bool),
        since: Option<&(String, u64)>,
        history: u64,
    ) -> Result<(), (u8, String)> {
        let keeps = net.plan.keeps();
        *self = Self::default();
        let all = match since {
            Some((of, heard)) if of == epoch && *heard <= seq => {
                if keeps > 0 && seq - heard <= keeps && !recovered {
                    return Err((2, format!("all behind {heard} is kept, to {seq}, and recovered is false")));
                }
                true
            }
            Some(_) => {
                self.anew = true;
                false
            }
            None => {
                self.newest = history.min(MOST);
                false
            }
        };
        match recovered && !all {
            true => Err((2, "recovered, though it has asked for no more of this life of the room".into())),
            false => Ok(()),
        }
    }
}

impl Room {
    /// A gap is named that goes to there.
    pub(super) fn lacks(&mut self, why: &str, to: u64, begins: bool) -> Result<(), (u8, String)> {
        match why {
            "expired" => self.replay.expired = Some(to),
            _ if !self.replay.anew || !begins => {
                return Err((2, "a gap of another life, which it has not asked for".into()));
            }
            _ => {}
        }
        Ok(())
    }

    /// What was missed has come: what a gap has named was no longer kept, and what was asked for has come.
    pub(super) fn has_caught_up(&mut self, net: &Network, judge: &Judge, name: &str) -> Result<(), (u8, String)> {
        let keeps = net.plan.keeps();
        if let Some(to) = self.replay.expired.take()
            && keeps > 0
            && self.seq < to + keeps
        {
            let text = format!("{name}: a gap goes to {to}, and the room to {}, of which {keeps} are kept", self.seq);
            return Err((2, text));
        }
        let newest = std::mem::take(&mut self.replay.newest);
        if newest > 0 {
            let (first, epoch) = (self.replay.first.unwrap_or(self.seq + 1), self.epoch.as_deref().unwrap_or_default());
            let kept = self.seq.saturating_sub(keeps);
            let has = if first > self.seq { 0 } else { judge.messages(name, epoch, first, self.seq) };
            let missed = if first > kept + 1 { judge.messages(name, epoch, kept + 1, first - 1) } else { 0 };
            if has < newest && missed > 0 {
                let text = format!("{name}: {newest} messages were asked for, {has} come, and {missed} more are kept");
                return Err((2, text));
            }
        }
        Ok(())
    }
}

impl Client {
    /// A page of a room's history has no holes, and all that was asked for and is kept.
    pub(super) fn page_is_whole(
        &mut self,
        net: &mut Network,
        judge: &Judge,
        message: &Value,
    ) -> Result<(), (u8, String)> {
        let (name, epoch) = (message::field(message, "room_id")?, message::field(message, "epoch")?);
        let items = message["items"].as_array().into_iter().flatten().filter_map(|item| item["seq"].as_u64());
        let items: BTreeSet<u64> = items.collect();
        let asking = message["id"].as_str().and_then(|id| self.ids.get(id)).cloned().unwrap_or_default();
        let (first, last) = (items.first().copied(), items.last().copied());
        let lacks = |from: u64, to: u64| judge.message_numbers(name, epoch, from, to).find(|seq| !items.contains(seq));
        let wrong =
            |missed: u64| Err((2, format!("{name}: a page has no message {missed}, from {first:?} to {last:?}")));
        if let (Some(first), Some(last)) = (first, last)
            && let Some(missed) = lacks(first, last)
        {
            return wrong(missed);
        }
        let next = message["next"].as_u64();
        let keeps = net.plan.keeps();
        if let Some(head) = self.hears_live(net, name, epoch).filter(|_| keeps > 0) {
            let oldest = head.saturating_sub(keeps) + 1;
            let asked_here = asking.epoch.as_deref() == Some(epoch);
            let to = asking.before.map_or(asking.heard, |before| before.saturating_sub(1));
            // A page that has a next one has all from there on: entries, of which messages are shown.
            if let Some(missed) = lacks(next.unwrap_or(oldest), to).filter(|_| asked_here) {
                return wrong(missed);
            }
            if let Some(to) = message["gap"]["to"].as_u64().filter(|to| *to >= oldest) {
                return Err((2, format!("{name}: a page says that nothing is kept up to {to}, and {oldest} is")));
            }
        }
        // One that has said that it leaves is a member no more (903026).
        let stays = self.rooms.get(name).is_some_and(|room| !room.leaving);
        let reads_on = stays && asking.before.is_none() && !self.rests;
        if let Some(next) = next.filter(|_| reads_on && net.chance.one_in(3)) {
            let fields = format!(r#""type":"history","room_id":"{name}","before":{next}"#);
            self.ask(net, &fields, &["history"], Some(name.to_owned()));
        }
        Ok(())
    }
}

/// So many messages are replayed at most of those that a `join` asks for by their number.
const MOST: u64 = 200;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row: the life and the number since which was asked, whether the answer, in life "a" and up to 10, says
    /// `recovered`, and whether it may. Five entries are kept.
    #[test]
    fn recovered_is_said_of_what_is_kept() {
        let (mut net, _) = Network::standing(1);
        net.plan.kept.messages = 5;
        net.plan.lasts = super::super::super::plan::Lasts::Power;
        for (since, recovered, may_be) in [
            (Some(("a", 5)), true, true),
            (Some(("a", 5)), false, false),
            (Some(("a", 4)), false, true),
            (Some(("a", 11)), true, false),
            (Some(("b", 5)), true, false),
            (Some(("b", 5)), false, true),
            (None, true, false),
            (None, false, true),
        ] {
            let asked = since.map(|(epoch, seq): (&str, u64)| (epoch.to_owned(), seq));
            let found = Replay::default().begin(&net, ("a", 10, recovered), asked.as_ref(), 0);
            assert_eq!(found.is_ok(), may_be, "{since:?} {recovered}");
        }
    }
}
