//! Where there are tokens: a client shows one when it comes, in one of the four ways of `docs/wire.md`, and brings
//! another one in time, or late, or not at all. It judges what the server makes of that.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::network::{Network, SECOND, Time};
use super::super::token::{Token, sign};
use super::{Client, Phase, REQUESTS_MAX, room_name};

/// What a client has of tokens.
#[derive(Debug, Default)]
pub(super) struct Pass {
    /// The one that it came with, or has been told to hold.
    token: Option<Token>,
    /// When it was told to hold it, in milliseconds since 1970; 0: it came with it.
    since: u64,
    /// The `id` of the request in which it has shown another one, which is not answered.
    shown: Option<(String, Token)>,
    /// When it shows another one.
    next: Option<Time>,
    /// When it has been told that its token has ended.
    told: Option<Time>,
    /// The rooms that a token was not for which it has shown over this connection.
    denied: BTreeSet<String>,
}

impl Pass {
    /// The connection has ended.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// How a token is shown in a request.
#[derive(Debug, Default)]
pub(super) struct Showing {
    pub target: String,
    pub headers: Vec<String>,
    pub protocols: Vec<String>,
}

impl Client {
    /// A request with a new token, if the client shows it there.
    pub(super) fn show_token(&mut self, net: &mut Network) -> Showing {
        let hides = if net.plan.hides(&self.user) { "&status=offline&note=hidden" } else { "" };
        let mut showing = Showing { target: format!("/ws?user={}{hides}", self.user), ..Showing::default() };
        if net.plan.ways.tokens == 0 {
            return showing;
        }
        let token = self.new_token(net);
        match self.id % 4 {
            0 => showing.headers.push(format!("Bearer {}", token.text)),
            1 => showing.target.push_str(&format!("&token={}", token.text)),
            2 => showing.protocols.extend(["salon.v1".to_owned(), format!("token.{}", token.text)]),
            // By the first message.
            _ => {}
        }
        self.pass.token = Some(token);
        showing
    }

    /// The connection is a WebSocket: a token that was not shown yet is the first message.
    pub(super) fn show_token_first(&mut self, net: &mut Network) {
        if self.id % 4 != 3 {
            return;
        }
        if let Some(token) = self.pass.token.clone() {
            let id = self.draw_id();
            let text = format!(r#"{{"type":"auth","id":"{id}","token":"{}"}}"#, token.text);
            self.note_asked(&id, net.now, &text);
            self.send(net, &text);
        }
    }

    fn new_token(&mut self, net: &mut Network) -> Token {
        let (least, most) = net.plan.token_seconds(net.faulty);
        let exp = net.unix_ms() / 1000 + net.chance.within(least, most);
        let rooms = net.plan.rooms as u64;
        // When all is to be well, nothing is to be denied.
        let denied = (net.faulty && net.chance.one_in(3)).then(|| room_name(net.chance.below(rooms)));
        self.pass.denied.extend(denied.clone());
        sign(&self.user, exp, (0..rooms).map(room_name), denied)
    }

    /// Shows another token when that is due.
    pub(super) fn see_to_token(&mut self, net: &mut Network) {
        if self.phase != Phase::On || self.pass.shown.is_some() || self.asked.len() >= REQUESTS_MAX - 1 {
            return;
        }
        if self.pass.next.is_none_or(|at| at > net.now) {
            return;
        }
        self.pass.next = None;
        let token = self.new_token(net);
        let fields = format!(r#""type":"auth","token":"{}""#, token.text);
        self.pass.shown = self.request(net, &fields, &["ack"], None).map(|id| (id, token));
    }

    /// The server has let it in, or has taken another token: it says until when.
    pub(super) fn holds_token(&mut self, net: &mut Network, message: &Value) -> Result<(), (u8, String)> {
        let ends = message["expires_at"].as_u64();
        let Some(token) = &self.pass.token else {
            return match ends {
                None => Ok(()),
                Some(_) => Err((13, "a token ends where there are none".into())),
            };
        };
        if ends != Some(token.ends) {
            return Err((11, format!("a token that ends at {} is said to end at {ends:?}", token.ends)));
        }
        let left = token.ends.saturating_sub(net.unix_ms()) * 1000;
        let grace = net.plan.settings.chat.token_grace.as_micros() as Time;
        self.pass.told = None;
        self.pass.next = match net.chance.below(5) {
            // It lets it end.
            0 if net.faulty => None,
            // It waits to be told that it has ended.
            1 if net.faulty => Some(net.now + left + net.chance.below(grace)),
            _ => Some(net.now + left / 2),
        };
        Ok(())
    }

    /// A request is answered: perhaps that with another token.
    pub(super) fn token_is_taken(&mut self, net: &mut Network, message: &Value) -> Result<(), (u8, String)> {
        if message.get("expires_at").is_none() {
            return Ok(());
        }
        match self.pass.shown.take() {
            Some((id, token)) if message["id"].as_str() == Some(&*id) => {
                (self.pass.token, self.pass.since) = (Some(token), net.unix_ms());
                self.holds_token(net, message)
            }
            _ => Err((5, "a token is taken that was not shown".into())),
        }
    }

    /// A request was refused: perhaps that with another token, which then changes nothing.
    pub(super) fn token_is_refused(&mut self, net: &Network, message: &Value, code: &str) -> Result<(), (u8, String)> {
        let id = message["id"].as_str();
        if let Some((_, token)) = self.pass.shown.take_if(|(shown, _)| Some(&**shown) == id) {
            if code == "unauthorized" && net.unix_ms() < token.ends {
                return Err((13, "a token that holds is refused".into()));
            }
            self.pass.next = Some(net.now + message["retry_after_ms"].as_u64().map_or(SECOND, |wait| wait * 1000));
            return Ok(());
        }
        match code {
            "token_expired" if self.pass.told.replace(net.now).is_some() => {
                Err((13, "it is told twice that its token has ended".into()))
            }
            "token_expired" if message["close_after_ms"] != net.plan.settings.chat.token_grace.as_millis() as u64 => {
                Err((13, "a token has ended, and the time until the end is not the one of the settings".into()))
            }
            "token_expired" => match &self.pass.token {
                Some(token) if token.ends <= net.unix_ms() + 1 => Ok(()),
                Some(token) => Err((11, format!("a token that holds until {} is said to have ended", token.ends))),
                None => Err((13, "a token has ended where there are none".into())),
            },
            "unauthorized" => Err((13, "the error unauthorized".into())),
            _ => Ok(()),
        }
    }

    /// Whether it may be told that it has no token that holds.
    pub(super) fn has_no_token(&self, net: &Network) -> bool {
        let grace = net.plan.settings.chat.token_grace.as_millis() as u64;
        let ended = |token: &Token| match self.phase {
            // One that was on its way for so long is refused when it comes.
            Phase::On => token.ends + grace <= net.unix_ms() + 1,
            _ => token.ends <= net.unix_ms() || self.id % 4 == 3,
        };
        self.pass.token.as_ref().is_some_and(ended)
    }

    /// Whether its token is not for a room of which it hears something. With another token a session leaves a room
    /// behind what was done there before: only what was done then is heard until `left` comes.
    pub(super) fn is_denied(&self, room: &str, ts: Option<u64>) -> bool {
        let denied = self.pass.token.as_ref().is_some_and(|token| token.denied.as_deref() == Some(room));
        denied && (self.pass.since == 0 || ts.is_some_and(|ts| ts > self.pass.since))
    }

    /// Whether a token was not for a room which it has shown over this connection.
    pub(super) fn was_denied(&self, room: &str) -> bool {
        self.pass.denied.contains(room)
    }

    /// For how long the server, which runs again since then, has let its session go on: without a word that its token
    /// has ended, or longer than for the grace that it has named with that word. The grace begins with the word, which
    /// comes late from a server that stood still.
    pub fn overstays(&self, net: &Network, thawed: Time) -> Option<Time> {
        let token = self.pass.token.as_ref().filter(|_| self.phase == Phase::On && self.pass.shown.is_none())?;
        let link = self.link.filter(|link| net.takes_all(*link) && net.is_served(*link))?;
        let since_end = net.unix_ms().checked_sub(token.ends)? * 1000;
        let grace = net.plan.settings.chat.token_grace.as_micros() as Time;
        let due = self.pass.told.map_or(net.now.saturating_sub(since_end), |told| told + grace);
        // What is on the way may be long on it.
        net.now.checked_sub(due.max(thawed)).filter(|_| !net.links[link].choked)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::plan::NEAR;
    use super::*;

    /// Each row, in seconds: when the server runs again, when it has told the client that its token has ended, which
    /// was at 74, with a grace of 13, and when it is looked at; and for how long it has let the session go on.
    #[test]
    fn a_grace_begins_with_its_word() {
        let (mut net, link) = Network::standing(1);
        net.plan.settings.chat.token_grace = std::time::Duration::from_secs(13);
        let mut client = Client::new(0, "u0".into(), NEAR, net.plan.manner(0), std::iter::empty());
        (client.phase, client.link) = (Phase::On, Some(link));
        let ends = net.unix_ms() + 74_000;
        client.pass.token = Some(Token { text: String::new(), ends, denied: None });
        for (thawed, told, now, over) in [
            (0, None, 70, None),
            (0, None, 80, Some(6)),
            (0, Some(75), 87, None),
            (0, Some(75), 90, Some(2)),
            (85, None, 86, Some(1)),
            // As in seed 302706.
            (85, Some(85), 97, None),
            (85, Some(85), 99, Some(1)),
        ] {
            (net.now, client.pass.told) = (now * SECOND, told.map(|told: Time| told * SECOND));
            let over = over.map(|over: Time| over * SECOND);
            assert_eq!(client.overstays(&net, thawed * SECOND), over, "{thawed} {told:?} {now}");
        }
    }
}
