//! Tokens: who comes in by one, for how long, and its rights.

use super::*;
use crate::chat::auth::{Claims, KeyId};

/// Takes claims for tokens, unsigned: signatures are for the floor above.
#[derive(Debug)]
pub(super) struct Credulous;

impl Verifier for Credulous {
    fn verify(&self, token: &str, unix_ms: u64) -> Result<Grant, TokenError> {
        serde_json::from_str::<Claims>(token).map_err(|_| TokenError::Claims)?.grant(KeyId(0), unix_ms)
    }

    fn accepts(&self, key: KeyId) -> bool {
        key == KeyId(0)
    }
}

/// As it is with tokens. Rows begin at second 1000.
pub(super) fn guarded() -> Settings {
    Settings { anybody_may_announce: false, anybody_may_create: false, ..unhurried() }
}

pub(super) fn stage(settings: Settings) -> Stage {
    let mut stage = Stage::new(settings.clone());
    let memory = Memory::new(Limits::default(), 1);
    stage.chat = Chat::new(settings, Box::new(memory), 1).with_verifier(Rc::new(Credulous));
    stage
}

pub(super) fn token(name: &str, exp: u64, more: &str) -> String {
    format!(r#"{{"sub":"{name}","exp":{exp}{more}}}"#)
}

/// The request that shows a token.
pub(super) fn auth(token: &str, id: u64) -> String {
    format!(r#"{{"type":"auth","id":{id},"token":{}}}"#, serde_json::to_string(token).unwrap())
}

pub(super) fn comes(stage: &mut Stage, device: &str, token: &str) {
    let door = match Credulous.verify(token, stage.now.unix_ms) {
        Ok(grant) => Door::Token { grant, room: None },
        Err(error) => Door::Refused(error),
    };
    stage.open(device, door);
}

const ALL: &str = r#","roles":["admin"]"#;

#[test]
fn a_token_at_the_door() {
    let mut stage = stage(guarded());
    comes(&mut stage, "ann", &token("ann", 2000, ALL));
    let welcome = stage.takes("ann").remove(0);
    assert_eq!(text_of(&welcome, "user_id").as_deref(), Some("ann"));
    assert_eq!(number_of(&welcome, "expires_at"), Some(2_000_000));
    stage.joins("ann", "den");
    stage.refused("ann", r#"{"type":"join","room_id":"den","user_id":"bob"}"#, "forbidden");
    stage.closes("ann");
    stage.waits(Duration::from_secs(60));
    assert_eq!(stage.chat.hall.rights.holders().count(), 0);
    assert!(stage.chat.hall.timers.pop(Tick(3_000_000)).is_none_or(|timer| timer == timers::Timer::Sweep));
}

/// A page of rooms looks at as many as 256 KiB of patterns are enough for; the other rooms are for the next one.
#[test]
fn rooms_of_a_token_of_many_patterns_come_in_shorter_pages() {
    let mut stage = stage(guarded());
    comes(&mut stage, "ann", &token("ann", 2000, ALL));
    for room in 0..400 {
        stage.says("ann", &format!(r#"{{"type":"create_room","room_id":"room-{room:03}"}}"#));
        stage.takes("ann");
    }
    let stars = format!(r#""{}b","#, "a*".repeat(127));
    for (many, pages) in [(0, 1), (22, 9)] {
        let patterns = stars.repeat(many) + r#""room-399""#;
        comes(&mut stage, "bob", &token("bob", 2000, &format!(r#","rooms":[{patterns}]"#)));
        stage.takes("bob");
        let (mut cursor, mut seen, mut rooms) = (String::new(), 0, 0);
        loop {
            stage.says("bob", &format!(r#"{{"type":"rooms"{cursor}}}"#));
            let page = stage.takes("bob").remove(0);
            seen += 1;
            rooms += page.matches(r#""room_id":"room-399""#).count();
            match text_of(&page, "next") {
                Some(next) => {
                    assert!(many == 0 || !next.contains("room"), "what it is not for is not told: {next}");
                    cursor = format!(r#","cursor":"{next}""#);
                }
                None => break,
            }
        }
        assert_eq!((seen, rooms), (pages, 1), "{many} patterns of many stars");
        stage.closes("bob");
    }
}

#[test]
fn a_bad_token_is_told_and_closed() {
    for (claims, reason) in [
        (token("ann", 900, ""), "token_expired"),
        (token("", 2000, ""), "unauthorized"),
        (token("ann", 2000, r#","nbf":1500"#), "unauthorized"),
        ("x".into(), "unauthorized"),
    ] {
        let mut stage = stage(guarded());
        comes(&mut stage, "ann", &claims);
        let goodbye = format!(r#"{{"type":"goodbye","reason":"{reason}","reconnect":false,"after_ms":0}}"#);
        stage.heard("ann", [&goodbye]);
        assert_eq!(stage.closed_with("ann"), Some(4001));
        // The same by the first message.
        stage.open("bob", Door::Unproven);
        stage.says("bob", &auth(&claims, 1));
        stage.heard("bob", [&goodbye]);
        assert_eq!(stage.closed_with("bob"), Some(4001));
        stage.says("bob", &auth(&token("bob", 2000, ""), 2));
        stage.heard_nothing("bob");
        stage.closes("ann");
        stage.closes("bob");
        stage.waits_ms(1_000);
        stage.check_released();
    }
}

#[test]
fn the_first_message_brings_the_token() {
    let mut stage = stage(guarded());
    stage.open("ann", Door::Unproven);
    stage.heard_nothing("ann");
    stage.says("ann", r#"{"type":"join","room_id":"den","id":1}"#);
    let error = stage.takes("ann").remove(0);
    assert_eq!((kind(&error).as_str(), number_of(&error, "id")), ("unauthorized", Some(1)));
    for other in ["hello", r#"{"type":"auth"}"#, r#"{"type":"dance"}"#, r#"{"type":"auth","token":5}"#] {
        stage.refused("ann", other, "unauthorized");
    }
    // Nobody hears of a session without a token, and it hears nothing.
    comes(&mut stage, "bob", &token("bob", 2000, ALL));
    stage.joins("bob", "den");
    stage.says("bob", r#"{"type":"broadcast","room_id":"*","content":"x"}"#);
    stage.heard_nothing("ann");
    stage.waits_ms(9_999);
    stage.says("ann", &auth(&token("ann", 2000, ""), 7));
    let welcome = stage.takes("ann").remove(0);
    assert_eq!((kind(&welcome).as_str(), number_of(&welcome, "id")), ("welcome", Some(7)));
    stage.joins("ann", "den");
    stage.waits(Duration::from_secs(60));
    stage.heard_nothing("ann");
    assert_eq!(stage.closed_with("ann"), None);
}

#[test]
fn who_says_nothing_or_too_much_without_a_token_is_closed() {
    let mut stage = stage(guarded());
    stage.open("ann", Door::Unproven);
    stage.waits_ms(9_999);
    stage.heard_nothing("ann");
    stage.waits_ms(1);
    stage.heard_kinds("ann", &["goodbye"]);
    assert_eq!(stage.closed_with("ann"), Some(4001));
    stage.open("bob", Door::Unproven);
    for _ in 0..5 {
        stage.says("bob", r#"{"type":"ping"}"#);
        stage.chat.handle_ping(stage.conn("bob"), stage.now, &mut stage.out);
        stage.dispatch();
    }
    let kinds: Vec<String> = stage.takes("bob").iter().map(|text| kind(text)).collect();
    assert_eq!(kinds, [&["unauthorized"; 5][..], &["goodbye"]].concat());
    assert_eq!(stage.closed_with("bob"), Some(4001));
    stage.open("cat", Door::Unproven);
    stage.chat.handle_binary(stage.conn("cat"), stage.now, &mut stage.out);
    stage.dispatch();
    assert_eq!(stage.closed_with("cat"), Some(1003));
}

#[test]
fn a_token_ends_with_a_warning_and_a_grace() {
    let mut stage = stage(guarded());
    comes(&mut stage, "ann", &token("ann", 1060, ALL));
    stage.joins("ann", "den");
    stage.waits_ms(59_999);
    stage.heard_nothing("ann");
    stage.waits_ms(1);
    let error = stage.takes("ann").remove(0);
    assert_eq!((kind(&error).as_str(), number_of(&error, "close_after_ms")), ("token_expired", Some(30_000)));
    stage.waits_ms(29_999);
    stage.says("ann", r#"{"type":"broadcast","content":"still here"}"#);
    stage.heard_kinds("ann", &["broadcast"]);
    stage.waits_ms(1);
    stage.heard("ann", [r#"{"type":"goodbye","reason":"token_expired","reconnect":false,"after_ms":0}"#]);
    assert_eq!(stage.closed_with("ann"), Some(4001));
    stage.closes("ann");
    // Shown within the leeway after its end, it is good for the grace.
    let late = token("ann", stage.now.unix_ms / 1000 - 5, "");
    comes(&mut stage, "ann", &late);
    stage.heard_kinds("ann", &["welcome"]);
    stage.waits_ms(0);
    stage.heard_kinds("ann", &["token_expired"]);
    stage.waits_ms(30_000);
    assert_eq!(stage.closed_with("ann"), Some(4001));
}

#[test]
fn another_token_in_place() {
    let mut stage = stage(guarded());
    comes(&mut stage, "ann", &token("ann", 1060, ALL));
    stage.joins("ann", "den");
    stage.says("ann", &auth(&token("ann", 1120, ALL), 1));
    stage.heard("ann", [r#"{"type":"ack","id":1,"expires_at":1120000}"#]);
    stage.waits_ms(119_999);
    stage.heard_nothing("ann");
    stage.waits_ms(1);
    stage.heard_kinds("ann", &["token_expired"]);
    // Within the grace, too; a token that is not valid changes nothing.
    stage.waits_ms(10_000);
    stage.refused("ann", &auth(&token("bob", 2000, ""), 2), "forbidden");
    stage.refused("ann", &auth(&token("ann", 1000, ""), 3), "unauthorized");
    stage.refused("ann", r#"{"type":"auth","token":"nonsense"}"#, "unauthorized");
    stage.refused("ann", r#"{"type":"auth"}"#, "bad_request");
    stage.says("ann", &auth(&token("ann", 1200, ALL), 4));
    stage.heard("ann", [r#"{"type":"ack","id":4,"expires_at":1200000}"#]);
    stage.waits_ms(60_000);
    stage.heard_nothing("ann");
    stage.waits_ms(10_000);
    stage.heard_kinds("ann", &["token_expired"]);
    stage.waits_ms(30_000);
    assert_eq!(stage.closed_with("ann"), Some(4001));
}

#[test]
fn rooms_that_the_new_token_is_not_for_are_left() {
    let mut stage = stage(guarded());
    comes(&mut stage, "ann", &token("ann", 2000, ALL));
    comes(&mut stage, "bob", &token("bob", 2000, ALL));
    for room in ["den", "attic"] {
        stage.joins("ann", room);
        stage.joins("bob", room);
    }
    stage.says("ann", &auth(&token("ann", 2000, r#","rooms":["a*"]"#), 1));
    stage.heard("ann", [r#"{"type":"ack","id":1,"expires_at":2000000}"#, r#"{"type":"left","room_id":"den"}"#]);
    stage.heard("bob", [r#"{"type":"user_left","room_id":"den","user_id":"ann"}"#]);
    stage.says("bob", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    stage.heard_nothing("ann");
    stage.refused("ann", r#"{"type":"join","room_id":"den"}"#, "forbidden");
    stage.refused("ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#, "not_joined");
}

#[test]
fn rooms_that_a_token_is_for() {
    let mut stage = stage(Settings { anybody_may_create: true, ..guarded() });
    comes(&mut stage, "ann", &token("ann", 2000, r#","rooms":["den","team-*"]"#));
    comes(&mut stage, "bob", &token("bob", 2000, ""));
    stage.all_forget();
    for room in ["attic", "den", "team-red", "zoo"] {
        stage.joins("bob", room);
    }
    for room in ["den", "team-red", "team-blue"] {
        stage.joins("ann", room);
    }
    // The same words whether or not there is such a room.
    let answers = |stage: &mut Stage, what: &str| {
        ["attic", "nowhere"].map(|room| {
            stage.says("ann", &format!(r#"{{"type":"{what}","room_id":"{room}"}}"#));
            stage.takes("ann").concat()
        })
    };
    for what in ["join", "room", "create_room"] {
        let [there, not_there] = answers(&mut stage, what);
        assert_eq!((kind(&there).as_str(), &there), ("forbidden", &not_there), "{what}");
    }
    for what in ["leave", "members", "history", "presence"] {
        let [there, not_there] = answers(&mut stage, what);
        assert_eq!((kind(&there).as_str(), &there), ("not_joined", &not_there), "{what}");
    }
    let rooms = |stage: &mut Stage, cursor: &str| {
        stage.says("ann", &format!(r#"{{"type":"rooms","limit":2{cursor}}}"#));
        let answer = stage.takes("ann").remove(0);
        let list = field(&answer, "rooms").unwrap();
        let names = list.as_array().unwrap().iter().map(|room| room["room_id"].as_str().unwrap().to_owned());
        (names.collect::<Vec<_>>(), text_of(&answer, "next"))
    };
    assert_eq!(rooms(&mut stage, ""), (vec!["den".into(), "team-blue".into()], Some("team-blue".into())));
    assert_eq!(rooms(&mut stage, r#","cursor":"team-blue""#), (vec!["team-red".into()], None));
}

#[test]
fn roles() {
    let mut stage = stage(guarded());
    for (name, more) in
        [("ann", ""), ("bob", r#","roles":["create"]"#), ("cat", r#","roles":["announce"]"#), ("dan", ALL)]
    {
        comes(&mut stage, name, &token(name, 2000, more));
    }
    stage.all_forget();
    let announce = r#"{"type":"broadcast","room_id":"*","content":"x"}"#;
    for (name, announces, creates) in
        [("ann", false, false), ("bob", false, true), ("cat", true, false), ("dan", true, true)]
    {
        stage.says(name, announce);
        let found = kind(&stage.takes(name).remove(0));
        assert_eq!(found, if announces { "broadcast" } else { "forbidden" }, "{name}");
        stage.says(name, &format!(r#"{{"type":"create_room","room_id":"room of {name}"}}"#));
        let found = kind(&stage.takes(name).remove(0));
        assert_eq!(found, if creates { "room" } else { "forbidden" }, "{name}");
        stage.says(name, &format!(r#"{{"type":"join","room_id":"den of {name}"}}"#));
        let found = kind(&stage.takes(name).remove(0));
        assert_eq!(found, if creates { "joined" } else { "room_not_found" }, "{name}");
        stage.all_forget();
    }
    // A room that is there can be joined, and asked for again.
    stage.says("ann", r#"{"type":"join","room_id":"den of bob"}"#);
    stage.heard_kinds("ann", &["joined", "online_users"]);
    stage.says("ann", r#"{"type":"create_room","room_id":"den of bob"}"#);
    stage.heard_kinds("ann", &["room"]);
}

#[test]
fn the_plain_dialect_with_a_token() {
    let mut stage = stage(Settings { anybody_may_create: true, ..guarded() });
    let grant = Credulous.verify(&token("bob", 1060, ""), START).unwrap();
    stage.open("bob", Door::Token { grant, room: Some(room("den")) });
    stage.says("bob", r#"{"type":"auth","token":"x"}"#);
    stage.heard_kinds("bob", &["user_joined", "online_users", "chat"]);
    stage.waits_ms(60_000);
    stage.heard_kinds("bob", &["error"]);
    stage.waits_ms(30_000);
    stage.heard_kinds("bob", &["error"]);
    assert_eq!(stage.closed_with("bob"), Some(4001));
}

#[test]
fn in_open_mode_there_is_no_auth() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.refused("ann", &auth("x", 1), "unknown_type");
    assert_eq!(stage.chat.next_deadline(), None);
}

#[test]
fn no_token_is_repeated() {
    let secret = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl";
    let request = format!(r#"{{"type":"auth","token":"{secret}"}}"#);
    let (_, parsed) = wire::request::parse(&request);
    assert!(!format!("{parsed:?}").contains("eyJ"));
    let mut stage = stage(guarded());
    comes(&mut stage, "ann", &token("ann", 2000, ""));
    stage.open("bob", Door::Unproven);
    for device in ["ann", "bob"] {
        stage.says(device, &request);
        assert!(!stage.takes(device).concat().contains("eyJ"));
    }
}

/// With a token that is shown as the first message, too.
#[test]
fn who_hides_shows_a_token() {
    let mut stage = Stage::new(unhurried());
    stage.chat.hall.rights.set_verifier(Some(Rc::new(Credulous)));
    let shows = Shows::parse("offline", None).unwrap();
    stage.open("bob", Door::Showing { shows: shows.clone(), door: Box::new(Door::Unproven) });
    stage.open("gone", Door::Showing { shows, door: Box::new(Door::Unproven) });
    stage.closes("gone");
    stage.says("bob", &auth(&token("bob", 2000, ""), 1));
    assert_eq!(text_of(&stage.takes("bob")[0], "status").as_deref(), Some("offline"));
    assert_eq!(stage.chat.hall.roster.showing(), 0);
}

/// A session with a token of a key that is gone has the grace, as when its token ends, and no more; others notice
/// nothing.
#[test]
fn a_key_that_is_gone_puts_its_holders_out() {
    /// Knows another key beside, by which nobody has come.
    #[derive(Debug)]
    struct Second(KeyId);
    impl Verifier for Second {
        fn verify(&self, token: &str, unix_ms: u64) -> Result<Grant, TokenError> {
            serde_json::from_str::<Claims>(token).map_err(|_| TokenError::Claims)?.grant(self.0, unix_ms)
        }

        fn accepts(&self, key: KeyId) -> bool {
            key == self.0
        }
    }
    let mut stage = stage(guarded());
    for name in ["ann", "bob", "late"] {
        comes(&mut stage, name, &token(name, if name == "late" { 1001 } else { 2000 }, ALL));
        stage.takes(name);
    }
    stage.waits(Duration::from_secs(2));
    assert!(stage.takes("late")[0].contains("token_expired"), "it is in its grace already");
    let now = stage.now;
    stage.chat.change_settings(guarded(), Some(Rc::new(Second(KeyId(0)))), now);
    stage.waits_ms(1);
    ["ann", "bob", "late"].iter().for_each(|name| stage.heard_nothing(name));
    let now = stage.now;
    stage.chat.change_settings(guarded(), Some(Rc::new(Second(KeyId(1)))), now);
    stage.waits_ms(1);
    for name in ["ann", "bob"] {
        let told = stage.takes(name);
        assert!(told.len() == 1 && told[0].contains("token_expired"), "{told:?}");
    }
    stage.heard_nothing("late");
    stage.says("bob", &auth(&token("bob", 2000, ALL), 5));
    assert_eq!(number_of(&stage.takes("bob")[0], "expires_at"), Some(2_000_000));
    stage.waits(guarded().token_grace);
    assert_eq!(["ann", "late"].map(|name| stage.closed_with(name)), [Some(4001); 2]);
    assert_eq!(stage.closed_with("bob"), None);
}
