//! How people are, as a client is told of it: those whom it watches, and who types. What it was told last is how they
//! are, and when all rest each shows something of itself, so that nothing of it can stay untold.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::super::network::{Network, SECOND, Time};
use super::{Asking, Client, Phase, message, user_name};

/// How somebody is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    status: String,
    note: Option<String>,
}

/// Where somebody types: in a room, or, without one, to the client.
type Place = Option<String>;

/// How people are, as far as a client was told over its connection.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Those whom it watches.
    views: BTreeMap<String, View>,
    /// How many devices each has, since it was asked when all rest.
    devices: BTreeMap<String, u64>,
    typists: BTreeMap<(Place, String), Typist>,
    /// What it shows of itself, since all rest and once that is answered.
    shown: Shown,
}

/// What a client has shown of itself when all rest.
#[derive(Debug, Default)]
struct Shown {
    /// The request for it, until it is answered, and what it asks for.
    status: Option<(String, View)>,
    view: Option<View>,
    since: Time,
    /// Where it has begun to type: a room, or another user.
    typing: Vec<(Option<String>, Option<String>)>,
}

/// Somebody of whom was told that they type.
#[derive(Clone, Copy, Debug)]
struct Typist {
    /// When that was heard last.
    heard: Time,
    on: bool,
    /// Nothing that came behind that was left out.
    certain: bool,
}

impl View {
    fn of(state: &Value) -> Result<Self, (u8, String)> {
        let note = message::text(state, "note").map(str::to_owned);
        Ok(Self { status: message::field(state, "status")?.to_owned(), note })
    }

    /// Nobody of that name is here, or one who hides.
    fn nobody() -> Self {
        Self { status: HIDDEN.to_owned(), note: None }
    }

    /// As others see it.
    fn of_others(&self) -> Self {
        if self.status == HIDDEN { Self::nobody() } else { self.clone() }
    }
}

impl Client {
    /// Somebody whom it watches has changed.
    pub(super) fn hear_presence(&mut self, message: &Value) -> Result<(), (u8, String)> {
        let user = message::field(message, "user_id")?;
        if let Some(view) = self.told.views.get_mut(user) {
            *view = View::of(message)?;
        }
        Ok(())
    }

    /// How people are is answered: those whom it watches as it was told of them.
    pub(super) fn hear_presence_state(
        &mut self,
        net: &Network,
        asking: &Asking,
        message: &Value,
    ) -> Result<(), (u8, String)> {
        for (user, state) in message["users"].as_object().into_iter().flatten() {
            let now = View::of(state)?;
            // At several nodes a word of a change may come behind the answer.
            if let Some(told) = self.told.views.get(user).filter(|told| **told != now && net.plan.has_one_server()) {
                return Err((17, format!("{user} is {now:?}, and was told to be {told:?}")));
            }
            // How many devices somebody has who hides is told to these devices alone.
            if self.rests && (now.status != HIDDEN || *user == self.user) {
                self.told.devices.insert(user.clone(), message::number(state, "devices")?);
            }
            match asking.subscribe {
                Some(true) => drop(self.told.views.insert(user.clone(), now)),
                Some(false) => drop(self.told.views.remove(user)),
                None => {}
            }
        }
        Ok(())
    }

    /// Somebody types, or has stopped.
    pub(super) fn hear_typing(&mut self, net: &Network, message: &Value) -> Result<(), (u8, String)> {
        let (room, user) = (message::text(message, "room_id").map(str::to_owned), message::field(message, "user_id")?);
        if user == self.user {
            return Err((9, "a device is told that its own user types".into()));
        }
        let on = message["typing"].as_bool().ok_or((13, "typing without typing".to_owned()))?;
        let place = (room, user.to_owned());
        match self.told.typists.get_mut(&place) {
            Some(known) if !on && !known.on && known.certain && net.plan.has_one_server() => {
                return Err((17, format!("{user} stops typing, and has stopped")));
            }
            Some(known) if !on => (known.on, known.certain) = (false, true),
            None if !on => {}
            _ => drop(self.told.typists.insert(place, Typist { heard: net.now, on, certain: true })),
        }
        Ok(())
    }

    /// Somebody has said something in a room: that ends their typing there, just before it.
    pub(super) fn has_stopped_typing(&self, net: &Network, message: &Value) -> Result<(), (u8, String)> {
        let (room, sender) = (message::field(message, "room_id")?, message::field(message, "sender")?);
        let place = (Some(room.to_owned()), sender.to_owned());
        let types = self.told.typists.get(&place).is_some_and(|typist| typist.on);
        match types && net.plan.has_one_server() && self.hears_all_in(net, room) {
            true => Err((17, format!("{sender} says something in {room}, and types on"))),
            false => Ok(()),
        }
    }

    /// Nothing is known of those who type in a room: something of it may have been left out.
    pub(super) fn knows_no_typists(&mut self, room: &str) {
        for (_, typist) in self.told.typists.iter_mut().filter(|((of, _), _)| of.as_deref() == Some(room)) {
            (typist.on, typist.certain) = (false, false);
        }
    }

    /// It is in a room no more.
    pub(super) fn forgets_typists(&mut self, room: &str) {
        self.told.typists.retain(|(of, _), _| of.as_deref() != Some(room));
    }

    /// A request is done.
    pub(super) fn hear_shown(&mut self, id: &str, asking: &Asking) {
        let shown = &mut self.told.shown;
        match asking.kind.as_str() {
            "status" => {
                if let Some((_, view)) = shown.status.take_if(|(of, _)| of == id) {
                    shown.view = Some(view);
                }
            }
            "typing" if self.rests && asking.at >= shown.since => {
                shown.typing.push((asking.room.clone(), asking.to.clone()));
            }
            _ => {}
        }
    }

    /// As a page does that shows who is here, it watches two others as soon as it is let in.
    pub(super) fn watch_some(&mut self, net: &mut Network) {
        if self.rests || self.manner.quiet || self.id % 2 == 1 {
            return;
        }
        let others = [1, 2].map(|step| user_name((self.id + step) as u64 % net.plan.people as u64));
        let [one, other] = others;
        let fields = format!(r#""type":"presence","user_ids":["{one}","{other}"],"subscribe":true"#);
        self.ask(net, &fields, &["presence_state"], None);
    }

    // When all rest -------------------------------------------------------------------------------------------------

    /// Asks how all these are, and watches them.
    pub fn watch_all(&mut self, net: &mut Network, people: &BTreeSet<String>) {
        self.told.devices.clear();
        self.told.shown = Shown { since: net.now, ..Shown::default() };
        let list: Vec<String> = people.iter().map(|user| format!("\"{user}\"")).collect();
        let fields = format!(r#""type":"presence","user_ids":[{}],"subscribe":true"#, list.join(","));
        self.ask(net, &fields, &["presence_state"], None);
    }

    /// Shows something of itself: a status, and that it types, in a room and to another one.
    pub fn show_itself(&mut self, net: &mut Network, other: &str) {
        let status = if net.plan.hides(&self.user) { HIDDEN } else { *net.chance.pick(&["online", "away", "busy"]) };
        let view = View { status: status.to_owned(), note: Some(format!("rests {}", self.drawn)) };
        let note = view.note.as_deref().unwrap_or_default();
        let fields = format!(r#""type":"status","status":"{status}","note":"{note}""#);
        self.told.shown.status = self.request(net, &fields, &["ack"], None).map(|id| (id, view));
        if let Some(room) = self.rooms.iter().find(|(_, room)| room.inside).map(|(name, _)| name.clone()) {
            self.ask(net, &format!(r#""type":"typing","room_id":"{room}","typing":true"#), &["ack"], Some(room));
        }
        self.ask(net, &format!(r#""type":"typing","user_id":"{other}","typing":true"#), &["ack"], None);
    }

    /// How it has shown itself, if that was answered.
    pub fn shown_view(&self) -> Option<&View> {
        self.told.shown.view.as_ref()
    }

    /// Where it has shown that it types, if that was answered: rooms, or other users.
    pub fn shown_typing(&self) -> impl Iterator<Item = (Option<&str>, Option<&str>)> {
        self.told.shown.typing.iter().map(|(room, to)| (room.as_deref(), to.as_deref()))
    }

    /// What is wrong with how it was told that a user is, who has shown themselves as that, or is gone.
    pub fn mistakes(&self, user: &str, shown: Option<&View>, is_here: bool) -> Option<String> {
        let told = self.told.views.get(user)?;
        let view = match shown {
            _ if !is_here => View::nobody(),
            Some(shown) if user == self.user => shown.clone(),
            shown => shown?.of_others(),
        };
        (view != *told).then(|| format!("was told that {user} is {told:?}, who is {view:?}"))
    }

    /// What is wrong with how many devices it was told that a user has.
    pub fn miscounts(&self, user: &str, devices: u64) -> Option<String> {
        let told = self.told.devices.get(user).filter(|told| **told != devices)?;
        Some(format!("was told that {user} has {told} devices, of which there are {devices}"))
    }

    /// Whether it ought to have heard that somebody types in a place since then, and has not.
    pub fn has_not_heard(&self, net: &Network, place: (Option<&str>, &str), since: Time) -> bool {
        if self.welcomed().is_none_or(|(_, at)| at >= since) {
            return false;
        }
        let (room, user) = place;
        // In a big room, and to a reader that is slow, typing may be left out.
        let told = match room {
            Some(name) => {
                self.rooms.get(name).is_some_and(|room| room.inside_at < since) && self.hears_all_in(net, name)
            }
            None => true,
        };
        let place = (room.map(str::to_owned), user.to_owned());
        told && self.told.typists.get(&place).is_none_or(|typist| typist.heard < since)
    }

    // At any time ---------------------------------------------------------------------------------------------------

    /// Somebody of whom it was told that they type, and not that they have stopped, for longer than that lasts, with a
    /// server that runs since then.
    pub fn types_on(&self, net: &Network, thawed: Time) -> Option<String> {
        self.hears_all_of(net)?;
        let lasts = |typist: &Typist| typist.on && net.now > typist.heard.max(thawed) + TYPES_FOR;
        let (place, typist) = self.told.typists.iter().find(|((room, _), typist)| {
            room.as_deref().is_none_or(|room| self.hears_all_in(net, room)) && lasts(typist)
        })?;
        let since = (net.now - typist.heard) as f64 / 1e6;
        Some(format!("was told {since:.1} s ago that {} types in {:?}, and never that this is over", place.1, place.0))
    }

    /// Somebody whom it watches, and of whom it was not told that they are gone, though they have been for so long.
    pub fn misses_nobody(&self, net: &Network, gone: &BTreeMap<String, Time>, thawed: Time) -> Option<String> {
        self.hears_all_of(net)?;
        self.told.views.iter().find_map(|(user, view)| {
            let since = (*gone.get(user)?).max(thawed);
            let late = view.status != HIDDEN && net.now > since + GONE_WITHIN;
            late.then(|| format!("was told that {user} is {view:?}, who is gone for {} s", (net.now - since) / SECOND))
        })
    }

    /// Whether whatever happens in a room is told to it at once.
    fn hears_all_in(&self, net: &Network, room: &str) -> bool {
        self.epoch_of(room).is_some_and(|epoch| self.hears_live(net, room, epoch).is_some())
    }

    /// Its connection, if it has taken whatever the server has said to it.
    fn hears_all_of(&self, net: &Network) -> Option<usize> {
        let heard_all = |link: &usize| net.takes_all(*link) && !net.links[*link].owed_much && net.is_served(*link);
        self.link.filter(|_| self.phase == Phase::On).filter(heard_all)
    }
}

/// The status of somebody who is not here, or hides.
const HIDDEN: &str = "offline";

/// `true` is relayed at most once in 3 s, and ends 6 s after the last; a look comes once a second.
const TYPES_FOR: Time = 9 * SECOND + 2 * SECOND;

/// `leave_grace` is 8 s at most; a look comes once a second.
const GONE_WITHIN: Time = 8 * SECOND + 4 * SECOND;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::plan::{Manner, NEAR};
    use super::*;

    fn client() -> (Network, Client) {
        let (net, link) = Network::standing(1);
        let manner = Manner { quiet: false, deflate: None, hasty: false };
        let mut client = Client::new(0, "u0".into(), NEAR, manner, std::iter::empty());
        (client.phase, client.link) = (Phase::On, Some(link));
        (net, client)
    }

    fn state(client: &mut Client, net: &Network, subscribe: Option<bool>, state: &Value) -> Result<(), (u8, String)> {
        let asking = Asking { subscribe, ..Asking::default() };
        client.hear_presence_state(net, &asking, &json!({"users":{"u1":state}}))
    }

    #[test]
    fn whom_it_watches_is_as_it_was_told() {
        let (net, mut client) = client();
        let (here, away) = (json!({"status":"online","devices":1}), json!({"status":"away","devices":1,"note":"x"}));
        // Somebody whom it does not watch may change untold.
        state(&mut client, &net, None, &here).unwrap();
        state(&mut client, &net, None, &away).unwrap();
        state(&mut client, &net, Some(true), &here).unwrap();
        assert_eq!(state(&mut client, &net, None, &away).unwrap_err().0, 17, "nobody has told of it");
        client.hear_presence(&json!({"user_id":"u1","status":"away","note":"x"})).unwrap();
        state(&mut client, &net, None, &away).unwrap();
        state(&mut client, &net, Some(false), &away).unwrap();
        state(&mut client, &net, None, &here).unwrap();
    }

    #[test]
    fn who_is_gone_is_told_of() {
        let (mut net, mut client) = client();
        state(&mut client, &net, Some(true), &json!({"status":"online","devices":1})).unwrap();
        let gone = BTreeMap::from([("u1".to_owned(), 5 * SECOND)]);
        for (now, thawed, late) in [(17, 0, false), (18, 0, true), (18, 7, false), (20, 7, true)] {
            net.now = now * SECOND;
            assert_eq!(client.misses_nobody(&net, &gone, thawed * SECOND).is_some(), late, "{now} {thawed}");
        }
        client.hear_presence(&json!({"user_id":"u1","status":"offline"})).unwrap();
        assert_eq!(client.misses_nobody(&net, &gone, 0), None);
    }

    #[test]
    fn a_message_ends_the_typing_of_its_sender() {
        let (mut net, mut client) = client();
        net.links[0].upgraded = true;
        let room = super::super::Room { inside: true, epoch: Some("e".into()), ..Default::default() };
        client.rooms.insert("den".into(), room);
        let said = json!({"room_id":"den","sender":"u1"});
        client.hear_typing(&net, &json!({"room_id":"den","user_id":"u2","typing":true})).unwrap();
        client.has_stopped_typing(&net, &said).unwrap();
        client.hear_typing(&net, &json!({"room_id":"den","user_id":"u1","typing":true})).unwrap();
        assert_eq!(client.has_stopped_typing(&net, &said).unwrap_err().0, 17);
        client.hear_typing(&net, &json!({"room_id":"den","user_id":"u1","typing":false})).unwrap();
        client.has_stopped_typing(&net, &said).unwrap();
    }

    #[test]
    fn typing_ends() {
        let (mut net, mut client) = client();
        let typing = |on: bool| json!({"user_id":"u1","typing":on});
        client.hear_typing(&net, &typing(false)).unwrap();
        client.hear_typing(&net, &typing(true)).unwrap();
        for (now, thawed, late) in [(11, 0, false), (12, 0, true), (12, 1, false), (13, 1, true)] {
            net.now = now * SECOND;
            assert_eq!(client.types_on(&net, thawed * SECOND).is_some(), late, "{now} {thawed}");
        }
        client.hear_typing(&net, &typing(false)).unwrap();
        assert_eq!(client.types_on(&net, 0), None);
        assert_eq!(client.hear_typing(&net, &typing(false)).unwrap_err().0, 17, "it has stopped");
        assert_eq!(client.hear_typing(&net, &json!({"user_id":"u0","typing":true})).unwrap_err().0, 9, "it is itself");
    }
}
