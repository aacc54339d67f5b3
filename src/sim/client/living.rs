//! What a client does of its own accord: it speaks, does something to what it shows, looks, leaves and comes back.

use crate::proto::frame::{Opcode, encode_masked_frame};
use crate::shown::Shown;

use super::super::network::{Network, SECOND, Time};
use super::constants::OUTBOX_MAX;
use super::{Client, Phase, Room, Unsent, mask, room_name, user_name};

impl Client {
    /// Something of its own accord.
    pub(super) fn live(&mut self, net: &mut Network) {
        let inside: Vec<String> =
            self.rooms.iter().filter(|(_, room)| room.inside && !room.leaving).map(|(name, _)| name.clone()).collect();
        let room = (!inside.is_empty()).then(|| net.chance.pick(&inside).clone());
        let people = net.plan.people as u64;
        let other = user_name(net.chance.below(people));
        let draw = net.chance.below(100);
        match (draw, room) {
            (0..40, Some(room)) => self.say(net, Some(room), String::new()),
            (40..46, _) => self.say(net, None, other),
            (46..48, Some(room)) => {
                self.ask(net, &format!(r#""type":"leave","room_id":"{room}""#), &["left"], Some(room.clone()));
                if let Some(room) = self.rooms.get_mut(&room) {
                    room.leaving = true;
                }
            }
            (48..52, _) => {
                let rooms = net.plan.rooms as u64;
                let name = room_name(net.chance.below(rooms));
                let history = if net.chance.one_in(2) { net.chance.within(1, 60) } else { 0 };
                self.rooms.entry(name).or_insert_with(|| Room { history, ..Room::default() });
                self.pump_joins(net);
            }
            (52..57, Some(room)) => {
                let limit = net.chance.within(1, 200);
                let fields = format!(r#""type":"history","room_id":"{room}","limit":{limit}"#);
                // Now and then many of them in one breath, which are answered one after the other.
                let pages = if net.chance.one_in(4) { net.chance.within(2, 12) } else { 1 };
                for _ in 0..pages {
                    self.ask(net, &fields, &["history"], Some(room.clone()));
                }
            }
            (57..59, _) => {
                let fields = format!(r#""type":"history","user_id":"{other}""#);
                self.ask(net, &fields, &["history"], None);
            }
            (59..62, Some(room)) => {
                self.ask(net, &format!(r#""type":"members","room_id":"{room}""#), &["members"], Some(room));
            }
            (62, Some(room)) => {
                self.ask(net, &format!(r#""type":"room","room_id":"{room}""#), &["room"], Some(room));
            }
            (62..64, _) => self.ask(net, r#""type":"rooms""#, &["rooms"], None),
            (64..66, _) => self.ask(net, r#""type":"online""#, &["online"], None),
            (66..68, Some(room)) if net.chance.one_in(2) => self.call_room(net, &room),
            (66..68, _) => self.ask(net, r#""type":"conversations""#, &["conversations"], None),
            (68..72, Some(room)) => {
                let (seq, on) = (self.rooms[&room].seq, net.chance.one_in(2));
                match net.chance.below(3) {
                    0 => {
                        let fields = format!(r#""type":"read","room_id":"{room}","seq":{seq}"#);
                        self.ask(net, &fields, &["ack"], None);
                    }
                    1 => self.send(net, &format!(r#"{{"type":"typing","room_id":"{room}","typing":{on}}}"#)),
                    _ => {
                        let fields = format!(r#""type":"typing","user_id":"{other}","typing":{on}"#);
                        self.ask(net, &fields, &["ack"], None);
                    }
                }
            }
            (72..75, _) => {
                let status = *net.chance.pick(&["online", "away", "busy", "offline"]);
                let status = if net.plan.hides(&self.user) { "offline" } else { status };
                self.ask(net, &format!(r#""type":"status","status":"{status}","note":"x""#), &["ack"], None);
            }
            (75..78, _) => {
                let subscribe = *net.chance.pick(&["", r#","subscribe":true"#, r#","subscribe":false"#]);
                let fields = format!(r#""type":"presence","user_ids":["{other}"]{subscribe}"#);
                self.ask(net, &fields, &["presence_state"], None);
            }
            (78..80, _) => {
                let fields =
                    format!(r#""type":"multicast","user_ids":["{other}","{}"],"content":"to some""#, self.user);
                self.ask(net, &fields, &["ack"], None);
            }
            (80..90, Some(room)) => self.change(net, &room),
            (90..92, _) => {
                self.ask(net, r#""type":"search","text":"edited""#, &["found"], None);
            }
            (92..94, _) => self.ask(net, r#""type":"broadcast","room_id":"*","content":"all""#, &["broadcast"], None),
            (94..95, _) => {
                let most = if net.chance.one_in(4) { 90 } else { 20 };
                let wait = net.chance.skewed(1_000, most * SECOND);
                self.leave_and_return(net, wait);
            }
            (95..98, _) if self.manner.hasty => {
                self.ask_as_fast_as_it_can(net);
            }
            (95..98, _) => self.ask_for_too_much(net),
            _ => self.ask(net, r#""type":"ping""#, &["pong"], None),
        }
    }

    pub(super) fn ask_as_fast_as_it_can(&mut self, net: &mut Network) {
        for _ in 0..net.chance.skewed(2, 62) {
            self.ask(net, r#""type":"ping""#, &["pong"], None);
        }
    }

    /// Does something to a message: mostly to one of the last that it shows, and that it may.
    fn change(&mut self, net: &mut Network, room: &str) {
        let Room { seq, folded, .. } = &self.rooms[room];
        if *seq == 0 {
            return;
        }
        let kind = net.chance.below(5);
        let may = |shown: &Shown| shown.content.is_some() && (kind > 1 || shown.sender == self.user);
        let last: Vec<u64> =
            folded.0.iter().rev().filter(|(_, shown)| may(shown)).map(|(seq, _)| *seq).take(4).collect();
        let of = match last.is_empty() || net.chance.one_in(8) {
            true => seq - net.chance.below(*seq.min(&10)),
            false => *net.chance.pick(&last),
        };
        let emoji = *net.chance.pick(&[":x:", ":x:", ":y:"]);
        let stands = folded.0.get(&of).is_some_and(|shown| shown.has(emoji, &self.user));
        let fields = match kind {
            0 => format!(r#""type":"edit","room_id":"{room}","of":{of},"content":"edited {}""#, self.drawn),
            1 if net.chance.one_in(2) => format!(r#""type":"delete","room_id":"{room}","of":{of}"#),
            1 => format!(r#""type":"edit","room_id":"{room}","of":{of},"content":"edited""#),
            _ => {
                let on = stands == net.chance.one_in(6);
                format!(r#""type":"react","room_id":"{room}","of":{of},"emoji":"{emoji}","on":{on}"#)
            }
        };
        self.ask(net, &fields, &["edited", "deleted", "reaction", "ack"], Some(room.to_owned()));
    }

    /// Closes its connection in order, and comes back after a while.
    pub(super) fn leave_and_return(&mut self, net: &mut Network, wait: Time) {
        let Some(link) = self.link else { return };
        let mut out = Vec::new();
        encode_masked_frame(Opcode::Close, &1000_u16.to_be_bytes(), mask(net), &mut out);
        net.send(link, &out);
        net.close(link);
        self.drop_link();
        self.phase = Phase::Waiting(net.now + wait);
    }

    fn say(&mut self, net: &mut Network, room: Option<String>, to: String) {
        if self.outbox.len() >= OUTBOX_MAX {
            return;
        }
        let id = self.draw_id();
        let long = if net.chance.one_in(8) { net.chance.skewed(0, 8_000) } else { net.chance.below(60) } as usize;
        let mut content = format!("{id} ");
        let most = self.content_bytes.min(3_000);
        while content.len() < long.min(most - 1) {
            content.push(*net.chance.pick(&['a', 'b', ' ', '"', '\n', 'é', '\u{1}']));
            if content.len() > most {
                content.pop();
                break;
            }
        }
        self.outbox.push_back(Unsent {
            id,
            room,
            to,
            content,
            link: None,
            first_sent: None,
            last_sent: 0,
            not_before: 0,
            tries: 0,
            unanswered: 0,
        });
        self.pump_outbox(net);
    }
}
