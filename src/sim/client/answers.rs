//! Why a request is refused, and why a connection ends: each error of `docs/wire.md` answers some requests alone, each
//! close code has its cause, and a connection that ends without a Close has met a fault or a deadline.

use serde_json::Value;

use super::super::judge::{Judge, Put};
use super::super::network::Network;
use super::super::plan::{Fault, Plan};
use super::{Asking, Client, message};

/// A code of an error: whether it says that the same may be asked again, and which requests it may answer.
struct Row {
    code: &'static str,
    retry: bool,
    answers: &'static [&'static str],
}

const ROOMS: [&str; 5] = ["join", "room", "create_room", "read", "topic"];
const SAID: [&str; 6] = ["broadcast", "direct", "multicast", "edit", "delete", "react"];

/// What clients that keep to the protocol may hear. They send nothing that is `bad_json`, `bad_request`, of an
/// `unknown_type`, or `too_large`; no room here is full; one store cannot do something, that on Redis, which is
/// looked at by itself; and `internal` is a mistake.
const ROWS: [Row; 13] = [
    Row { code: "unauthorized", retry: false, answers: &["auth"] },
    Row { code: "token_expired", retry: false, answers: &[] },
    // `*` where there are tokens; a message of somebody else; a room that the token is not for.
    Row {
        code: "forbidden",
        retry: false,
        answers: &["join", "room", "create_room", "read", "topic", "broadcast", "edit", "delete"],
    },
    Row { code: "room_not_found", retry: false, answers: &["room"] },
    Row { code: "user_not_found", retry: false, answers: &["direct", "typing", "history"] },
    Row { code: "not_found", retry: false, answers: &["edit", "delete", "react"] },
    Row {
        code: "not_joined",
        retry: false,
        answers: &[
            "broadcast",
            "edit",
            "delete",
            "react",
            "leave",
            "history",
            "members",
            "typing",
            "read",
            "presence",
            "search",
            "topic",
        ],
    },
    Row { code: "too_many_rooms", retry: false, answers: &["join"] },
    Row { code: "rate_limited", retry: true, answers: ANY },
    Row { code: "history_gone", retry: false, answers: &["history"] },
    Row { code: "epoch_changed", retry: false, answers: &["history"] },
    Row { code: "overloaded", retry: true, answers: ANY },
    Row {
        code: "backend_down",
        retry: true,
        answers: &[
            "join",
            "broadcast",
            "direct",
            "multicast",
            "edit",
            "delete",
            "react",
            "read",
            "history",
            "conversations",
            "search",
            "rooms",
            "room",
            "topic",
        ],
    },
];

/// All requests.
const ANY: &[&str] = &["*"];

impl Client {
    /// Whether this error may be heard now, as the answer to this request, if it answers one.
    pub(super) fn may_be_refused(&self, net: &Network, judge: &Judge, message: &Value) -> Result<(), (u8, String)> {
        let (code, room) = (message::field(message, "code")?, message["room_id"].as_str());
        let wrong = |why: String| Err((5, format!("the error {code} {why}")));
        // A store on Redis does not search.
        if code == "unsupported" && !net.plan.has_one_server() {
            return Ok(());
        }
        let Some(row) = ROWS.iter().find(|row| row.code == code) else {
            return Err((13, format!("the error {code}")));
        };
        if message["retry"] != row.retry || message.get("retry_after_ms").is_some() != (code == "rate_limited") {
            return Err((13, format!("the error {code} says another thing of when to ask again than docs/wire.md")));
        }
        let asking = match message["id"].as_str() {
            Some(id) => self.ids.get(id).cloned(),
            // What a list asks for is answered room by room, without `id`.
            None => room.map(|room| {
                let of_list = self.joins.iter().find(|wanted| wanted.listed && wanted.room == room);
                let at = of_list.and_then(|wanted| self.ids.get(&wanted.id)).map_or(net.now, |asking| asking.at);
                Asking { kind: "join".into(), room: Some(room.to_owned()), at, ..Asking::default() }
            }),
        };
        let Some(asking) = asking else {
            // Of what comes too fast without `id` it is told now and then; so it is of `typing` where it may not.
            return match code {
                "token_expired" | "rate_limited" | "not_joined" => Ok(()),
                _ => wrong("answers no request".into()),
            };
        };
        let Asking { kind, room, to, at, sent, .. } = &asking;
        if row.answers != ANY && !row.answers.contains(&kind.as_str()) {
            return wrong(format!("answers {kind}"));
        }
        let cause = match code {
            // One on Redis may be away, and lose what it kept: there each of these may have a cause.
            _ if !net.plan.has_one_server() => true,
            "forbidden" => match kind.as_str() {
                "broadcast" => room.as_deref() == Some("*") && net.plan.ways.tokens > 0,
                "edit" | "delete" => !self.is_its_own(judge, asking.of, room.as_deref()),
                "join" if judge.was_put(Put::OutOfRoom, &self.user) => true,
                _ => ROOMS.contains(&kind.as_str()) && room.as_deref().is_some_and(|room| self.was_denied(room)),
            },
            "not_joined" | "room_not_found" => {
                // One who is put out is told so behind what it has said before, and is in no room meanwhile.
                let put = |room: &str| judge.was_put(Put::OutOfRoom, &self.user) || self.was_denied(room);
                let stays = |room: &str| {
                    let since = self.rooms.get(room).filter(|room| room.inside).map(|room| room.inside_at);
                    since.is_some_and(|since| since < *at) && !put(room)
                };
                !room.as_deref().is_some_and(stays)
            }
            "user_not_found" => {
                let life = self.link.map_or(0, |link| net.links[link].life);
                to.as_deref().is_some_and(|to| !judge.has_met(to, life, *at))
            }
            "too_many_rooms" => {
                let more = self.joins.iter().filter(|wanted| !self.rooms.contains_key(&wanted.room)).count();
                self.rooms.len() + more > net.plan.settings.chat.rooms_per_session
            }
            // To all it is always spoken at a rate of its own.
            "rate_limited" => net.plan.settings.chat.rate.is_some() || room.as_deref() == Some("*"),
            "backend_down" => net.plan.has(Fault::Fail),
            "overloaded" => {
                // The first try may wait still: one of this connection, or of another one before it, also when a try
                // between them was refused for another reason.
                let unsent = message["id"].as_str().and_then(|id| self.outbox.iter().find(|entry| entry.id == id));
                let tried = unsent.is_some_and(|it| it.unanswered > 1);
                let again = SAID.contains(&kind.as_str()) && (*sent > 1 || tried);
                let rooms = kind == "join" && net.plan.settings.chat.max_rooms < 1_000;
                again || rooms || is_short(&net.plan)
            }
            _ => true,
        };
        if cause { Ok(()) } else { wrong(format!("answers {asking:?}, and has no cause")) }
    }

    /// Whether a message is known to be its own; what is done to others' is refused.
    fn is_its_own(&self, judge: &Judge, of: u64, room: Option<&str>) -> bool {
        let Some((name, epoch)) = room.and_then(|name| Some((name, self.rooms.get(name)?.epoch.as_deref()?))) else {
            return false;
        };
        judge.sender(name, epoch, of).is_some_and(|sender| sender == self.user)
    }

    /// Whether the server may have closed its connection with this code. If not: why.
    pub(super) fn may_be_closed(&self, net: &Network, judge: &Judge, code: u16) -> Result<(), String> {
        let Some(link) = self.link else { return Ok(()) };
        let it = &net.links[link];
        let was = |put: Put| judge.was_put(put, &self.user);
        let cause = match code {
            _ if !net.plan.has_one_server() => true,
            1000 => self.parts,
            1012 => net.plan.has(Fault::Drain),
            // Of a small output more may be due in one turn than may wait.
            1013 => it.choked || net.plan.has(Fault::Memory) || net.plan.settings.engine.outbox_bytes < SMALL_OUTPUT,
            4001 => self.has_no_token(net),
            4003 => was(Put::Banned),
            4010 => was(Put::Kicked),
            4100 => {
                let many = net.plan.settings.chat.sessions_per_user;
                let people = net.plan.people;
                let own = |owner: usize| owner < net.plan.clients && owner % people == self.id % people;
                let of_address = net.plan.settings.bounds.addresses.as_ref();
                net.beside(link, |other| own(other.owner)) >= many
                    || of_address.is_some_and(|limits| {
                        net.beside(link, |other| other.owner / 4 == self.id / 4) >= limits.open as usize
                    })
            }
            4101 => net.plan.settings.chat.rate.is_some(),
            4200 => was(Put::Disconnected),
            // How long it has said nothing is looked at elsewhere.
            4201 => true,
            _ => false,
        };
        if cause { Ok(()) } else { Err(format!("it is closed with {code}, and has not given a cause")) }
    }

    /// Whether a connection may have ended without a Close.
    pub(super) fn may_end_without_a_word(&self, net: &Network) -> bool {
        let Some(link) = self.link.filter(|link| !net.is_let_go(*link)) else { return true };
        let it = &net.links[link];
        let host = &net.hosts[it.host];
        let down = !host.up || it.life != host.life;
        // A head that comes in pieces may be late; a Close waits behind what is not taken, and while a server stops no
        // longer than that takes.
        !net.plan.has_one_server()
            || down
            || !it.upgraded
            || it.choked
            || is_short(&net.plan)
            || net.plan.has(Fault::Drain)
    }

    /// Whether a request for a connection may be answered so.
    pub(super) fn may_be_turned_away(net: &Network, status: u16) -> bool {
        let Plan { settings, .. } = &net.plan;
        let slow = [Fault::Delay, Fault::Pieces, Fault::Freeze, Fault::Accept, Fault::Stall, Fault::Flood];
        match status {
            408 => slow.into_iter().any(|fault| net.plan.has(fault)),
            429 => settings.bounds.addresses.is_some(),
            503 => settings.bounds.max_connections < 10_000 || is_short(&net.plan) || net.plan.has(Fault::Drain),
            _ => false,
        }
    }
}

/// Whether the server may be short of something: of memory, or of places in the queue of its store.
fn is_short(plan: &Plan) -> bool {
    let floods = plan.has(Fault::Flood) || plan.has(Fault::Hostile);
    plan.has(Fault::Memory) || plan.store_queue < 4_096 || floods
}

/// So small an output may be full in one turn.
const SMALL_OUTPUT: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Each code of docs/wire.md stands in the table, or is one that nobody here may hear.
    #[test]
    fn the_codes_are_those_of_the_page() {
        let page = include_str!("../../../docs/wire.md");
        let table = page.split("| code | when | retry |").nth(1).expect("the table is there");
        let never = ["bad_json", "bad_request", "unknown_type", "too_large", "room_full", "unsupported", "internal"];
        let mut known: Vec<&str> = never.into_iter().chain(ROWS.iter().map(|row| row.code)).collect();
        let mut listed = Vec::new();
        for line in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let code = cells[1].trim_matches('`');
            if let Some(row) = ROWS.iter().find(|row| row.code == code) {
                assert_eq!(row.retry, cells[cells.len() - 2].starts_with("yes"), "{code}");
            }
            listed.push(code);
        }
        known.sort_unstable();
        listed.sort_unstable();
        assert_eq!(known, listed);
    }
}
