//! Carries out the chat's deliveries on the engine; the answer to a call becomes a response.

use crate::chat::{Deliveries, Delivery};
use crate::proto::Kind;
use crate::time::Tick;

use super::Turn;
use super::calls::{Answered, Calls, Reply};
use super::socket::Socket;
use super::system::System;

impl<S: System> Turn<'_, S> {
    /// Carries out the deliveries of the chat, in their order, and empties the list.
    pub(super) fn deliver(&mut self, deliveries: &mut Deliveries, calls: &mut Calls) {
        self.engine.spend(deliveries.work());
        for delivery in deliveries.items() {
            if !calls.is_empty() {
                match calls.reply(delivery, deliveries, self.now) {
                    Answered::None => {}
                    Answered::InBatch => continue,
                    Answered::Reply(Reply { to, said, worded, heard }) => {
                        self.answer(to, said, worded, None, heard.as_deref());
                        continue;
                    }
                }
            }
            let engine = &mut *self.engine;
            match delivery {
                // The caller has gone.
                Delivery::Refuse { .. } => {}
                Delivery::Send { to, text } => {
                    engine.spend(text.len() / WORDED_BYTES_A_STEP);
                    engine.send(*to, Kind::Text, deliveries.text(text));
                }
                Delivery::Publish { topic, text, except, number } => {
                    let (text, except) = (deliveries.text(text), deliveries.except(except));
                    match number {
                        Some(number) => engine.publish_numbered(*topic, *number, Kind::Text, text, except),
                        None => engine.publish(*topic, Kind::Text, text, except),
                    }
                }
                Delivery::Caused { ago_ms } => {
                    engine.caused_at(Tick(self.now.tick.0.saturating_sub(u64::from(*ago_ms))));
                }
                Delivery::Subscribe { conn, topic } => engine.subscribe(*conn, *topic),
                Delivery::TellWhenDrained { conn } => engine.tell_when_drained(*conn),
                Delivery::Owe { conn, bytes } => engine.owe(*conn, *bytes as usize),
                Delivery::Ask { conn } => engine.ping(*conn),
                Delivery::Unsubscribe { conn, topic } => engine.unsubscribe(*conn, *topic),
                Delivery::TurnedAway { conn, why } => {
                    let from = engine.stream(*conn).and_then(Socket::client);
                    // The chat closes it behind this.
                    let _ = self.admission.refuse((*why).into(), from, self.now.tick);
                }
                Delivery::Close { conn, code, reason } => engine.close(*conn, *code, reason),
            }
        }
        deliveries.clear();
        self.engine.flush_full();
    }
}

/// Bytes of an answer that cost a step, beside sending them: to find and word them. Presence of 1,000 names, 81 KB,
/// takes 0.6 ms.
const WORDED_BYTES_A_STEP: usize = 64;
