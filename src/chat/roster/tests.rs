//! Verbs in, facts out, in rows; what holds between calls is looked at behind each.

use std::time::Duration;

use super::*;

const GRACE: Duration = Duration::from_secs(5);

/// A roster on which people of few letters are in rooms of few letters; connections are small numbers.
struct Town {
    roster: Roster,
    now: Tick,
}

impl Town {
    /// Carries out what stands in a row, and says what came of it.
    fn does(&mut self, row: &str) -> Vec<String> {
        let words: Vec<&str> = row.split(' ').collect();
        let conn = |at: usize| ConnId { index: words[at].parse().expect("a connection is a number"), generation: 1 };
        let facts = match words[0] {
            "opens" => {
                let dialect = if words.get(3) == Some(&"plain") { Dialect::Plain } else { Dialect::Json };
                let now = Moment { tick: self.now, unix_ms: self.now.0 };
                self.roster.open(conn(1), 0, dialect, Payer::nobody(None), now);
                let user = self.user(words[2]);
                Vec::from_iter(self.roster.sign_in(conn(1), user, Payer::nobody(None)))
            }
            "enters" => {
                let room = self.room(words[2]);
                self.roster.ask_in(conn(1), room);
                let entrance = self.roster.enter(conn(1), room).expect("it has a seat");
                assert_eq!(entrance.again, words.get(3) == Some(&"again"), "{row}");
                Vec::from_iter(entrance.joined)
            }
            "leaves" => {
                let room = self.room(words[2]);
                let exit = self.roster.leave(conn(1), room).expect("there is such a session");
                Vec::from_iter(exit.left)
            }
            "is" => {
                let user = self.user(words[2]);
                self.roster.rename(conn(1), user, Payer::nobody(None), self.now, GRACE)
            }
            "is_expelled" => {
                self.roster.expel(conn(1));
                Vec::new()
            }
            "closes" => {
                assert!(self.roster.close(conn(1), self.now, GRACE).is_some(), "{row}");
                Vec::new()
            }
            "hides" => {
                let user = self.user(words[1]);
                vec![self.roster.show(user, Shows { status: user::Status::Offline, note: None })]
            }
            "is_waited_for_no_longer" => {
                let user = self.user(words[1]);
                self.roster.wait_no_longer(user, self.now)
            }
            "ms" => {
                self.now = self.now + Duration::from_millis(words[1].parse().expect("a time is a number"));
                let mut facts = Vec::new();
                while let Some(more) = self.roster.tick(self.now) {
                    facts.extend(more);
                }
                facts
            }
            other => panic!("{other} is no verb"),
        };
        let told = facts.into_iter().map(|fact| self.words(fact)).collect();
        self.roster.settle(self.now);
        self.roster.check();
        told
    }

    fn words(&self, fact: Fact) -> String {
        let name = |user: u32| self.roster.user(user).name.clone();
        match fact {
            Fact::Seen { user, before } => format!("seen {}, before {}", name(user), before.devices),
            Fact::Renamed { guest, user, .. } => format!("{} is {}", name(guest), name(user)),
            Fact::Joined { room, user } => format!("joined {} {}", self.roster.room(room).name, name(user)),
            Fact::Left { room, user } => format!("left {} {user}", self.roster.room(room).name),
            Fact::Gone { user, before } => format!("gone {user}, before {:?}", before.status),
        }
    }

    fn user(&mut self, name: &str) -> u32 {
        let parsed = UserName::parse(name).expect("a name");
        self.roster.know(&parsed, name.starts_with("guest"), 100).expect("there is room for a user")
    }

    fn room(&mut self, name: &str) -> u32 {
        let made = RoomName::parse(name).expect("a name");
        self.roster.rooms().find(name).unwrap_or_else(|| self.roster.make_room(made, 0))
    }
}

/// Each row: what happens, and the facts of it.
#[track_caller]
fn check(rows: &[(&str, &[&str])]) -> Town {
    let mut town = Town { roster: Roster::new(&crate::random::Random::from(1).keyed()), now: Tick(1_000_000) };
    for (row, facts) in rows {
        assert_eq!(town.does(row), *facts, "{row}");
    }
    town
}

#[test]
fn the_first_session_of_a_user_joins_and_the_last_one_leaves() {
    let town = check(&[
        ("opens 0 ann", &["seen ann, before 0"]),
        ("enters 0 den", &["joined den ann"]),
        ("enters 0 den again", &[]),
        ("opens 1 ann", &["seen ann, before 1"]),
        ("enters 1 den", &[]),
        ("leaves 0 den", &[]),
        ("leaves 0 den", &[]),
        ("leaves 1 den", &["left den ann"]),
    ]);
    assert_eq!(town.roster.rooms().len(), 0, "nothing is kept of the room");
}

#[test]
fn a_grace_ends_at_its_tick_and_not_before() {
    check(&[
        ("opens 0 ann", &["seen ann, before 0"]),
        ("enters 0 den", &["joined den ann"]),
        ("closes 0", &[]),
        ("ms 4999", &[]),
        ("ms 1", &["left den ann", "gone ann, before Online"]),
        ("ms 100000", &[]),
    ]);
}

#[test]
fn a_user_who_comes_back_in_time_has_never_left() {
    check(&[
        ("opens 0 ann", &["seen ann, before 0"]),
        ("enters 0 den", &["joined den ann"]),
        ("enters 0 hut", &["joined hut ann"]),
        ("closes 0", &[]),
        ("ms 4999", &[]),
        // The user is present still, without a device.
        ("opens 1 ann", &["seen ann, before 0"]),
        ("enters 1 den", &[]),
        ("ms 1", &["left hut ann"]),
        ("leaves 1 den", &["left den ann"]),
    ]);
}

#[test]
fn a_user_is_gone_only_after_leaving() {
    // The graces of a guest who has another session elsewhere end with the guest, and first.
    check(&[
        ("opens 0 guest-1", &["seen guest-1, before 0"]),
        ("enters 0 den", &["joined den guest-1"]),
        ("closes 0", &[]),
        ("ms 3000", &[]),
        ("opens 1 guest-1", &["seen guest-1, before 0"]),
        ("is_expelled 1", &[]),
        ("closes 1", &[]),
        ("ms 0", &["left den guest-1", "gone guest-1, before Online"]),
    ]);
    check(&[
        ("opens 0 ann", &["seen ann, before 0"]),
        ("enters 0 den", &["joined den ann"]),
        ("enters 0 hut", &["joined hut ann"]),
        ("closes 0", &[]),
        ("is_waited_for_no_longer ann", &["left den ann", "left hut ann"]),
        ("ms 0", &["gone ann, before Online"]),
    ]);
}

#[test]
fn nobody_waits_for_an_expelled_session() {
    check(&[
        ("opens 0 ann", &["seen ann, before 0"]),
        ("enters 0 den", &["joined den ann"]),
        ("is_expelled 0", &[]),
        ("closes 0", &[]),
        ("ms 0", &["left den ann", "gone ann, before Online"]),
    ]);
}

#[test]
fn a_guest_takes_a_name_and_the_seats_along() {
    check(&[
        ("opens 0 guest-1", &["seen guest-1, before 0"]),
        ("opens 1 guest-1", &["seen guest-1, before 1"]),
        ("enters 0 den", &["joined den guest-1"]),
        ("enters 0 hut", &["joined hut guest-1"]),
        ("enters 1 den", &[]),
        ("opens 2 ann", &["seen ann, before 0"]),
        ("enters 2 hut", &["joined hut ann"]),
        // In the den the guest stays with another session; in the hut ann is already.
        ("is 0 ann", &["seen ann, before 1", "guest-1 is ann", "joined den ann", "left hut guest-1"]),
        ("is 1 ann", &["seen ann, before 2", "guest-1 is ann", "left den guest-1"]),
        ("ms 0", &["gone guest-1, before Online"]),
    ]);
}

#[test]
fn one_who_hides_is_gone_unseen() {
    check(&[
        ("opens 0 ann", &["seen ann, before 0"]),
        ("hides ann", &["seen ann, before 1"]),
        ("closes 0", &[]),
        ("ms 5000", &["gone ann, before Offline"]),
    ]);
}

#[test]
fn rooms_of_plain_sessions_are_known() {
    let mut town = check(&[("opens 0 ann plain", &["seen ann, before 0"]), ("enters 0 den", &["joined den ann"])]);
    assert_eq!(town.roster.with_plain().len(), 1);
    town.does("closes 0");
    assert_eq!(town.roster.with_plain().len(), 0);
}

#[test]
fn a_room_stays_while_something_holds_it() {
    let mut town = check(&[]);
    let room = town.room("den");
    town.roster.hold(room);
    town.roster.settle(town.now);
    assert_eq!(town.roster.rooms().find("den"), Some(room), "something is asked about it");
    town.roster.note_said(room, true);
    town.roster.release(room);
    town.roster.settle(town.now);
    assert_eq!(town.roster.rooms().find("den"), Some(room), "something is kept of it");
    town.roster.note_emptied(room);
    town.roster.settle(town.now);
    assert_eq!(town.roster.rooms().find("den"), None);
    assert_eq!(town.roster.take_ended().len(), 1);
    assert_eq!(town.roster.take_ended().len(), 0);
}

#[test]
fn a_created_room_stays_until_it_expires() {
    let mut town = check(&[]);
    let room = town.room("den");
    town.roster.describe(room, Some("Den".into()), None);
    assert!(town.roster.expire_rooms(None, town.now), "it is empty");
    assert!(town.roster.expire_rooms(Some(town.now), town.now), "at the limit it stays");
    let past = town.now + Duration::from_millis(1);
    assert!(!town.roster.expire_rooms(Some(past), past), "and past it ends");
    assert_eq!(town.roster.rooms().len(), 0);
}

/// Each row: a node, since when bob has a status there, and how he is seen here then. A word that is older than what is
/// known counts where he is on that node alone (37 of the simulation with nodes: a clock was set back, and the end of
/// an earlier stay was lost), and not where he is on another one too.
#[test]
fn a_status_is_that_of_the_node_on_which_alone_somebody_is() {
    use super::user::Status::{Away, Busy, Online};
    let mut town = check(&[]);
    town.roster.share();
    let bob = town.roster.know_abroad(&UserName::parse("bob").expect("a name"), false);
    for (node, since, status, seen) in [
        (1, 900, Away, Away),
        (1, 500, Busy, Busy),
        (2, 400, Online, Busy),
        (1, 300, Away, Busy),
        (2, 600, Online, Online),
    ] {
        let stands = nodes::Stands { devices: 1, shows: Shows { status, note: None }, since };
        town.roster.stand_abroad(node, bob, stands);
        assert_eq!(town.roster.user(bob).status, seen, "{node} {since}");
    }
    town.roster.gone_abroad(1, bob);
    let stands = nodes::Stands { devices: 1, shows: Shows { status: Away, note: None }, since: 1 };
    town.roster.stand_abroad(2, bob, stands);
    assert_eq!(town.roster.user(bob).status, Away);
}
