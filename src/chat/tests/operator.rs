//! Calls of an operator, and the users who are kicked and banned.

use super::*;

/// Where calls come from.
const DESK: &str = "the desk";

impl Stage {
    /// Calls, and hears the one answer.
    pub(super) fn calls(&mut self, call: Call, body: &str) -> String {
        let conn = ConnId { index: 1000, generation: 1 };
        self.names.insert(DESK.into(), conn);
        self.inboxes.insert(conn, Vec::new());
        self.chat.handle_call(conn, call, body.as_bytes(), self.now, &mut self.out);
        self.dispatch();
        let answers = self.takes(DESK);
        self.inboxes.remove(&conn);
        self.names.remove(DESK);
        assert_eq!(answers.len(), 1, "one answer: {answers:?}");
        assert!(self.chat.hall.operators.is_empty(), "it is answered");
        answers.into_iter().next().unwrap()
    }

    /// The chat closed it, and the engine reports that it is closed.
    fn ends(&mut self, device: &str, code: u16) {
        assert_eq!(self.closed_with(device), Some(code), "{device}");
        self.closes(device);
    }
}

fn goodbye(reason: &str, reconnect: bool, after_ms: u64) -> String {
    format!(r#"{{"type":"goodbye","reason":"{reason}","reconnect":{reconnect},"after_ms":{after_ms}}}"#)
}

#[test]
fn what_is_published_is_heard_numbered_and_answered() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.opens_plain("bob", "den", "bob");
    stage.joins("ann", "den");
    let answer = stage.calls(Call::Publish, r#"{"room_id":"den","sender":"bot","content":"hi","id":"x1"}"#);
    let text = r#""room_id":"den","sender":"bot","content":"hi","seq":1,"ts":1000000}"#;
    assert_eq!(answer, format!(r#"{{"type":"broadcast","id":"x1",{text}"#));
    stage.heard("ann", [format!(r#"{{"type":"broadcast",{text}"#)]);
    stage.heard_kinds("bob", &["chat"]);
    // A retry is said once, and so it is for integers only as they come.
    let again = stage.calls(Call::Publish, r#"{"room_id":"den","sender":"bot","content":"hi","id":"x1"}"#);
    assert_eq!(again, r#"{"type":"ack","id":"x1","room_id":"den","seq":1,"ts":1000000,"dup":true}"#);
    stage.heard_nothing("ann");
    // One can answer the speaker.
    stage.says("ann", r#"{"type":"direct","user_id":"bot","content":"hello"}"#);
    stage.heard_kinds("ann", &["direct"]);
    assert_eq!(kind(&stage.calls(Call::Broadcast, r#"{"content":"tea"}"#)), "broadcast");
    let heard = stage.takes("ann").remove(0);
    assert_eq!((text_of(&heard, "room_id"), text_of(&heard, "sender")), (Some("*".into()), Some("server".into())));
    stage.heard_kinds("bob", &["chat"]);
}

#[test]
fn what_is_said_is_counted_by_room_and_interval() {
    let mut stage = Stage::json(unhurried(), &["ann", "cat"]);
    stage.opens_plain("bob", "den", "bob");
    stage.joins("ann", "den");
    stage.joins("cat", "tea");
    let rooms = |stage: &Stage| {
        let rows = stage.chat.rooms().map(|room| {
            format!("{} {} {} {} {}", room.name, room.members, room.sessions, room.messages, room.deliveries)
        });
        let mut rows: Vec<String> = rows.collect();
        rows.sort();
        rows
    };
    stage.calls(Call::Publish, r#"{"room_id":"den","content":"hi"}"#);
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"hello"}"#);
    assert_eq!(rooms(&stage), ["den 2 2 2 4", "tea 1 1 0 0"]);
    stage.chat.begin_interval();
    assert_eq!(rooms(&stage), ["den 2 2 0 0", "tea 1 1 0 0"]);
    stage.says("cat", r#"{"type":"broadcast","room_id":"tea","content":"hello"}"#);
    stage.calls(Call::Publish, r#"{"room_id":"attic","content":"hi"}"#);
    assert_eq!(rooms(&stage), ["attic 0 0 1 0", "den 2 2 0 0", "tea 1 1 1 1"]);
}

#[test]
fn a_room_with_nobody_keeps_what_is_published() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    assert_eq!(number_of(&stage.calls(Call::Publish, r#"{"room_id":"den","content":"one"}"#), "seq"), Some(1));
    stage.says("ann", r#"{"type":"join","room_id":"den","history":10}"#);
    stage.heard_kinds("ann", &["joined", "broadcast", "online_users"]);
    // Without history the message is for those who are there, and the room goes.
    let mut stage = Stage::keeping(last(0), unhurried(), &[]);
    assert_eq!(kind(&stage.calls(Call::Publish, r#"{"room_id":"den","content":"one"}"#)), "broadcast");
    assert_eq!(stage.chat.counts().rooms, 0);
    assert_eq!(
        kind(&stage.calls(Call::Publish, &format!(r#"{{"room_id":"x","content":"{}"}}"#, "x".repeat(16_385)))),
        "too_large"
    );
    assert_eq!(stage.chat.counts().rooms, 0, "nothing came of it");
}

#[test]
fn questions_of_an_operator() {
    let mut stage = Stage::json(Settings { anybody_may_create: false, ..unhurried() }, &["ann", "bob"]);
    let room = stage.calls(Call::Create, r#"{"room_id":"den","name":"Den","id":7}"#);
    assert!(
        room.starts_with(r#"{"type":"room","id":7,"room_id":"den","name":"Den""#)
            && room.ends_with(r#""created":true}"#)
    );
    stage.joins("ann", "den");
    stage.says("ann", r#"{"type":"broadcast","room_id":"den","content":"x"}"#);
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"psst"}"#);
    stage.all_forget();
    for (call, body, expected) in [
        (
            Call::Members,
            r#"{"room_id":"den"}"#,
            r#"{"type":"members","room_id":"den","members":[{"user_id":"ann","status":"online","devices":1}],"count":1}"#,
        ),
        (Call::Rooms, "", r#"{"type":"rooms","rooms":[{"room_id":"den","name":"Den","members":1,"joined":false}]}"#),
        (Call::Online, r#"{"limit":1}"#, r#"{"type":"online","users":["ann"],"count":2,"next":"ann"}"#),
        (Call::Online, r#"{"limit":1,"cursor":"ann"}"#, r#"{"type":"online","users":["bob"],"count":2}"#),
        (Call::Bans, "{}", r#"{"type":"bans","bans":[],"count":0}"#),
    ] {
        assert_eq!(stage.calls(call, body), expected);
    }
    let history = stage.calls(Call::History, r#"{"room_id":"den"}"#);
    assert!(history.contains(r#""items":[{"sender":"ann","content":"x","seq":1,"#), "{history}");
    let history = stage.calls(Call::History, r#"{"sender":"bob","user_id":"ann"}"#);
    assert!(history.contains(r#""content":"psst""#), "{history}");
    let ack = stage.calls(Call::Multicast, r#"{"user_ids":["ann","zoe"],"content":"x"}"#);
    assert_eq!(ack, r#"{"type":"ack","delivered":["ann"],"stored":[],"unknown":["zoe"]}"#);
    stage.heard_kinds("ann", &["direct"]);
}

#[test]
fn calls_that_are_refused() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    for (call, body, code) in [
        (Call::Publish, "", "bad_request"),
        (Call::Publish, "x", "bad_json"),
        (Call::Publish, "[]", "bad_request"),
        (Call::Publish, r#"{"room_id":"a\u0000b","content":""}"#, "bad_request"),
        (Call::Publish, r#"{"room_id":"den","content":"","sender":""}"#, "bad_request"),
        (Call::Publish, r#"{"room_id":"den","content":"","sender":5}"#, "bad_request"),
        (Call::Publish, r#"{"user_id":"ann","content":""}"#, "bad_request"),
        (Call::Publish, r#"{"room_id":"den","room_id":"den","content":""}"#, "bad_request"),
        (Call::Publish, r#"{"room_id":"*","content":""}"#, "bad_request"),
        // A message for some is not said to all.
        (Call::Broadcast, r#"{"room_id":"den","content":""}"#, "bad_request"),
        (Call::Broadcast, r#"{"user_id":"ann","content":""}"#, "bad_request"),
        (Call::Broadcast, r#"{"room_id":"*","to":"ann","content":""}"#, "bad_request"),
        (Call::Broadcast, r#"{"room_id":5,"content":""}"#, "bad_request"),
        (Call::Broadcast, r#"{"user_ids":["ann"],"content":""}"#, "bad_request"),
        (Call::Broadcast, r#"{"users":["ann"],"content":""}"#, "bad_request"),
        (Call::Broadcast, r#"{"session_id":"0000000000000000","content":""}"#, "bad_request"),
        (Call::Publish, r#"{"room_id":"den","user_id":"ann","content":""}"#, "bad_request"),
        (Call::Publish, r#"{"room_id":"den","user_ids":["ann"],"content":""}"#, "bad_request"),
        (Call::Direct, r#"{"user_id":"zoe","content":""}"#, "user_not_found"),
        (Call::Members, r#"{"room_id":"attic"}"#, "room_not_found"),
        (Call::History, r#"{"room_id":"attic"}"#, "room_not_found"),
        (Call::History, r#"{"user_id":"ann"}"#, "bad_request"),
        (Call::History, r#"{"room_id":"den","epoch":"0000000000000000"}"#, "epoch_changed"),
        (Call::Online, r#"{"limit":0}"#, "bad_request"),
        (Call::Kick, "{}", "bad_request"),
        (Call::Kick, r#"{"user_id":"ann","session_id":"0000000000000000"}"#, "bad_request"),
        (Call::Kick, r#"{"user_id":"zoe"}"#, "user_not_found"),
        (Call::Kick, r#"{"session_id":"0000000000000000"}"#, "user_not_found"),
        (Call::Kick, r#"{"user_id":"ann","room_id":"attic"}"#, "room_not_found"),
        (Call::Disconnect, r#"{"user_id":"ann","code":1000}"#, "bad_request"),
        (Call::Disconnect, r#"{"user_id":"ann","code":69632}"#, "bad_request"),
        (Call::Ban, r#"{"user_id":"*"}"#, "bad_request"),
        (Call::Ban, r#"{"user_id":"ann","note":"a\u001b[2J"}"#, "bad_request"),
        (Call::Create, r#"{"room_id":"attic","topic":"a\u202eb"}"#, "bad_request"),
        (Call::Room, r#"{"room_id":"attic"}"#, "room_not_found"),
        (Call::Ban, r#"{"user_id":"ann","seconds":0}"#, "bad_request"),
        (Call::Ban, r#"{"user_id":"ann","seconds":1e9}"#, "bad_request"),
        (Call::Ban, r#"{"user_id":"ann","seconds":315360001}"#, "bad_request"),
    ] {
        assert_eq!(kind(&stage.calls(call, body)), code, "{call:?} {body}");
    }
    stage.heard_nothing("ann");
    let sentence = "`room_id`: expected none or \"*\", because this is for everybody; `publish` is for a room";
    let refused = stage.calls(Call::Broadcast, r#"{"room_id":"den","content":""}"#);
    assert_eq!(text_of(&refused, "message").as_deref(), Some(sentence));
    for everybody in
        [r#"{"content":"tea"}"#, r#"{"room_id":"*","content":"tea"}"#, r#"{"room_id":null,"content":"tea"}"#]
    {
        assert_eq!(kind(&stage.calls(Call::Broadcast, everybody)), "broadcast", "{everybody}");
    }
    stage.heard_kinds("ann", &["broadcast"; 3]);
    assert_eq!(stage.calls(Call::Online, r#"{"limit":0,"id":9}"#).split(',').nth(1), Some(r#""id":9"#));
    stage.chat.handle_call(stage.conn("ann"), Call::Online, b"\xff", stage.now, &mut stage.out);
    stage.dispatch();
    stage.heard_kinds("ann", &["bad_json"]);
}

/// The members of the operator's own fields mean nothing to a session, and may stand twice. A `sender` means something
/// to a search alone.
#[test]
fn sessions_do_not_know_the_operators_fields() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    stage.joins("ann", "den");
    stage
        .says("ann", r#"{"type":"broadcast","content":"x","sender":1,"code":{},"code":1,"seconds":[],"session_id":0}"#);
    stage.heard_kinds("ann", &["broadcast"]);
    for call in Call::ALL {
        if matches!(call, Call::Kick | Call::Disconnect | Call::Ban | Call::Unban | Call::Bans | Call::Publish) {
            stage.refused("ann", &format!(r#"{{"type":"{}","user_id":"ann"}}"#, call.as_str()), "unknown_type");
        }
    }
}

#[test]
fn a_kick_ends_all_devices_and_the_user_leaves_at_once() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens("bob's phone", "bob");
    stage.opens_plain("bob's script", "den", "bob");
    for device in ["ann", "bob", "bob's phone"] {
        stage.joins(device, "den");
    }
    assert_eq!(stage.calls(Call::Kick, r#"{"user_id":"bob","id":1}"#), r#"{"type":"ack","id":1,"closed":3}"#);
    for device in ["bob", "bob's phone"] {
        stage.heard(device, [goodbye("kicked", false, 0)]);
        stage.says(device, r#"{"type":"broadcast","content":"still here"}"#);
        stage.heard_nothing(device);
        stage.ends(device, 4010);
    }
    stage.heard_kinds("bob's script", &["error"]);
    stage.ends("bob's script", 4010);
    stage.waits_ms(0);
    stage.heard("ann", [r#"{"type":"user_left","room_id":"den","user_id":"bob"}"#]);
    assert_eq!(stage.calls(Call::Online, ""), r#"{"type":"online","users":["ann"],"count":1}"#);
    assert_eq!(stage.calls(Call::Kick, r#"{"user_id":"bob"}"#), r#"{"type":"ack","closed":0}"#);
    // Nothing keeps a kicked user from coming back.
    stage.opens("bob", "bob");
    stage.heard_kinds("bob", &["welcome"]);
}

#[test]
fn a_kick_of_one_session_leaves_the_others() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens("bob's phone", "bob");
    let session = text_of(&stage.takes("bob's phone").remove(0), "session_id").unwrap();
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    stage.joins("bob's phone", "den");
    let answer = stage.calls(Call::Kick, &format!(r#"{{"session_id":"{session}"}}"#));
    assert_eq!(answer, r#"{"type":"ack","closed":1}"#);
    stage.heard_kinds("bob's phone", &["goodbye"]);
    stage.ends("bob's phone", 4010);
    stage.waits_ms(10_000);
    stage.heard_nothing("ann");
    stage.heard_nothing("bob");
    assert_eq!(stage.closed_with("bob"), None);
}

#[test]
fn a_kick_from_a_room() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens("bob's phone", "bob");
    stage.opens_plain("bob's script", "den", "bob");
    for device in ["ann", "bob", "bob's phone"] {
        stage.joins(device, "den");
    }
    stage.joins("bob", "attic");
    assert_eq!(stage.calls(Call::Kick, r#"{"user_id":"bob","room_id":"den"}"#), r#"{"type":"ack","left":3}"#);
    for device in ["bob", "bob's phone"] {
        stage.heard(device, [r#"{"type":"left","room_id":"den","reason":"kicked"}"#]);
        assert_eq!(stage.closed_with(device), None);
    }
    stage.ends("bob's script", 4010);
    stage.waits_ms(0);
    stage.heard("ann", [r#"{"type":"user_left","room_id":"den","user_id":"bob"}"#]);
    stage.refused("bob", r#"{"type":"broadcast","room_id":"den","content":"x"}"#, "not_joined");
    stage.says("bob", r#"{"type":"broadcast","room_id":"attic","content":"x"}"#);
    stage.heard_kinds("bob", &["broadcast"]);
    stage.says("bob", r#"{"type":"join","room_id":"den"}"#);
    stage.heard_kinds("bob", &["joined", "online_users"]);
}

#[test]
fn who_is_in_grace_does_not_wait_for_it() {
    for (call, body) in [
        (Call::Kick, r#"{"user_id":"bob"}"#),
        (Call::Kick, r#"{"user_id":"bob","room_id":"den"}"#),
        (Call::Ban, r#"{"user_id":"bob"}"#),
    ] {
        let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
        stage.joins("ann", "den");
        stage.joins("bob", "den");
        stage.closes("bob");
        stage.heard_nothing("ann");
        let answer = stage.calls(call, body);
        assert!(answer.contains(r#":0}"#), "{answer}");
        stage.heard("ann", [r#"{"type":"user_left","room_id":"den","user_id":"bob"}"#]);
    }
}

#[test]
fn a_ban_ends_keeps_out_and_ends() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.joins("ann", "den");
    stage.joins("bob", "den");
    let answer = stage.calls(Call::Ban, r#"{"user_id":"bob","seconds":60,"note":"spam"}"#);
    assert_eq!(answer, r#"{"type":"ban","user_id":"bob","until":1060000,"note":"spam","closed":1}"#);
    // It is said until when.
    let banned = goodbye("banned", false, 0).replace('}', r#","until":1060000}"#);
    stage.heard("bob", [&banned]);
    stage.ends("bob", 4003);
    stage.waits_ms(0);
    stage.heard("ann", [r#"{"type":"user_left","room_id":"den","user_id":"bob"}"#]);

    // Whichever way the name comes.
    stage.opens("bob", "bob");
    stage.heard("bob", [&banned]);
    stage.says("bob", r#"{"type":"join","room_id":"den"}"#);
    stage.heard_nothing("bob");
    stage.ends("bob", 4003);
    stage.opens_plain("bob", "den", "bob");
    stage.heard("bob", [r#"{"type":"error","content":"banned by the operator","room":"","username":""}"#]);
    stage.ends("bob", 4003);
    stage.open("guest", Door::Json { user: None });
    stage.joins("guest", "den");
    stage.says("guest", r#"{"type":"join","room_id":"attic","user_id":"bob"}"#);
    stage.heard("guest", [&banned]);
    stage.ends("guest", 4003);
    stage.waits_ms(10_000);
    stage.all_forget();
    assert_eq!(stage.chat.counts().bans, 1);
    assert_eq!(
        stage.calls(Call::Bans, ""),
        r#"{"type":"bans","bans":[{"user_id":"bob","until":1060000,"note":"spam"}],"count":1}"#
    );

    // One can still write to a banned user; the message waits in the history.
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"sorry"}"#);
    stage.heard_kinds("ann", &["direct"]);
    stage.waits_ms(49_999);
    stage.opens("bob", "bob");
    stage.ends("bob", 4003);
    stage.waits_ms(1);
    stage.opens("bob", "bob");
    stage.heard_kinds("bob", &["welcome"]);
    stage.says("bob", r#"{"type":"history","user_id":"ann"}"#);
    assert!(stage.takes("bob").concat().contains("sorry"));
    assert_eq!(stage.chat.counts().bans, 0);
    // Of one for good there is nothing to be said.
    stage.calls(Call::Ban, r#"{"user_id":"bob"}"#);
    stage.heard("bob", [goodbye("banned", false, 0)]);
}

#[test]
fn bans_are_lifted_replaced_paged_and_bounded() {
    let mut stage = Stage::json(unhurried(), &[]);
    assert_eq!(stage.calls(Call::Unban, r#"{"user_id":"bob"}"#), r#"{"type":"ack","banned":false}"#);
    stage.calls(Call::Ban, r#"{"user_id":"bob","seconds":1}"#);
    // For good now: the timer of the first is gone with it.
    assert_eq!(stage.calls(Call::Ban, r#"{"user_id":"bob"}"#), r#"{"type":"ban","user_id":"bob","closed":0}"#);
    assert_eq!(stage.chat.next_deadline(), None);
    stage.waits_ms(10_000);
    assert_eq!(stage.calls(Call::Unban, r#"{"user_id":"bob"}"#), r#"{"type":"ack","banned":true}"#);
    stage.calls(Call::Ban, r#"{"user_id":"bob","seconds":1}"#);
    stage.calls(Call::Unban, r#"{"user_id":"bob"}"#);
    assert_eq!(stage.chat.next_deadline(), None);
    for n in 0..bans::MAX_BANS {
        stage.calls(Call::Ban, &format!(r#"{{"user_id":"u{n:05}","seconds":100}}"#));
    }
    assert_eq!(kind(&stage.calls(Call::Ban, r#"{"user_id":"bob"}"#)), "overloaded");
    assert_eq!(kind(&stage.calls(Call::Ban, r#"{"user_id":"u00000"}"#)), "ban", "one that is there can be changed");
    let (mut cursor, mut seen) = (String::new(), 0);
    loop {
        let page = stage.calls(Call::Bans, &format!(r#"{{"limit":1000{cursor}}}"#));
        let listed = field(&page, "bans").unwrap().as_array().unwrap().len();
        assert!(listed <= 200);
        seen += listed;
        let Some(next) = text_of(&page, "next") else { break };
        cursor = format!(r#","cursor":"{next}""#);
    }
    assert_eq!(seen, bans::MAX_BANS);
    stage.waits_ms(100_000);
    assert_eq!(stage.chat.counts().bans, 1);
}

#[test]
fn a_disconnect_says_whether_to_come_back() {
    for (code, closed, said) in [
        ("", 4200, goodbye("disconnected", true, 0)),
        (r#","code":4200"#, 4200, goodbye("disconnected", true, 0)),
        (r#","code":1001"#, 1001, goodbye("disconnected", true, 0)),
        (r#","code":1008"#, 1008, goodbye("disconnected", false, 0)),
        (r#","code":1012"#, 1012, goodbye("disconnected", true, 0)),
        (r#","code":1013"#, 1013, goodbye("disconnected", true, 10_000)),
        (r#","code":4100"#, 4100, goodbye("disconnected", true, 10_000)),
        (r#","code":4001"#, 4001, goodbye("disconnected", false, 0)),
        (r#","code":4999"#, 4999, goodbye("disconnected", true, 0)),
    ] {
        let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
        stage.joins("ann", "den");
        stage.joins("bob", "den");
        assert_eq!(
            stage.calls(Call::Disconnect, &format!(r#"{{"user_id":"bob"{code}}}"#)),
            r#"{"type":"ack","closed":1}"#
        );
        stage.heard("bob", [said]);
        stage.ends("bob", closed);
        // Unlike a kicked user, this one has the grace.
        stage.waits_ms(4_999);
        stage.heard_nothing("ann");
        stage.opens("bob", "bob");
        stage.joins("bob", "den");
        stage.waits_ms(10_000);
        stage.heard_nothing("ann");
    }
}

/// A guest's device closes in a room, which waits for it; then the operator puts the guest out, whose other device was
/// the last. The user is gone only after leaving, so nothing is left that could happen to the next user in their place
/// of the tables.
#[test]
fn a_guest_is_put_out_while_a_room_waits_for_a_device() {
    for (call, code) in [(Call::Kick, 4010), (Call::Ban, 4003)] {
        let mut stage = Stage::json(unhurried(), &["ann"]);
        stage.joins("ann", "den");
        stage.open("phone", Door::Json { user: None });
        let guest = text_of(&stage.takes("phone")[0], "user_id").unwrap();
        stage.opens("laptop", &guest);
        stage.joins("phone", "den");
        stage.closes("phone");
        stage.waits_ms(500);
        stage.calls(call, &format!(r#"{{"user_id":"{guest}"}}"#));
        // Nobody waits for the device that closed, although another one is not closed yet.
        stage.heard("ann", [format!(r#"{{"type":"user_left","room_id":"den","user_id":"{guest}"}}"#)]);
        stage.ends("laptop", code);
        stage.waits_ms(1);
        stage.opens("nina", "nina");
        stage.joins("nina", "attic");
        stage.waits_ms(10_000);
        stage.heard_nothing("ann");
        stage.forgets("nina");
        stage.says("nina", r#"{"type":"members","room_id":"den"}"#);
        assert!(!stage.takes("nina")[0].contains("nina"), "nobody is a member of a room they were never in");
    }
}

/// The same without an operator: the grace is made shorter between the ends of the two devices.
#[test]
fn a_shorter_grace_does_not_make_a_guest_go_before_leaving() {
    let mut stage = Stage::json(Settings { leave_grace: Duration::from_secs(6), ..unhurried() }, &["ann"]);
    stage.joins("ann", "den");
    stage.open("phone", Door::Json { user: None });
    let guest = text_of(&stage.takes("phone")[0], "user_id").unwrap();
    stage.opens("laptop", &guest);
    stage.joins("phone", "den");
    stage.all_forget();
    stage.closes("phone");
    let shorter = Settings { leave_grace: Duration::from_secs(1), ..unhurried() };
    stage.chat.change_settings(shorter, None, stage.now);
    stage.closes("laptop");
    stage.waits_ms(1_000);
    stage.heard("ann", [format!(r#"{{"type":"user_left","room_id":"den","user_id":"{guest}"}}"#)]);
    stage.waits_ms(10_000);
    stage.heard_nothing("ann");
}

/// Names of the operator are the names of everybody.
#[test]
fn a_ban_is_of_a_name_in_any_form() {
    let mut stage = Stage::json(unhurried(), &["Zo\u{eb}"]);
    let answer = stage.calls(Call::Ban, "{\"user_id\":\"Zoe\u{308}\"}");
    assert_eq!(answer, "{\"type\":\"ban\",\"user_id\":\"Zo\u{eb}\",\"closed\":1}");
    stage.opens("again", "Zoe\u{308}");
    stage.ends("again", 4003);
    assert_eq!(kind(&stage.calls(Call::Ban, "{\"user_id\":\"bob \"}")), "bad_request");
    assert_eq!(
        kind(&stage.calls(Call::Publish, "{\"room_id\":\"den\",\"sender\":\"a\u{2060}\",\"content\":\"\"}")),
        "bad_request"
    );
    assert_eq!(stage.calls(Call::Unban, "{\"user_id\":\"Zoe\u{308}\"}"), r#"{"type":"ack","banned":true}"#);
}

/// Where anybody may take any name, nobody can take the one in which the operator speaks by default.
#[test]
fn nobody_comes_in_as_the_operator() {
    let mut stage = Stage::json(unhurried(), &["ann"]);
    for name in ["server", "Server", "SERVER"] {
        stage.opens("them", name);
        stage.heard("them", [goodbye("name_reserved", false, 0)]);
        stage.ends("them", 1008);
        stage.opens_plain("plain", "den", name);
        stage.heard_kinds("plain", &["error"]);
        stage.ends("plain", 1008);
    }
    stage.open("guest", Door::Json { user: None });
    stage.forgets("guest");
    stage.refused("guest", r#"{"type":"join","room_id":"den","user_id":"server"}"#, "forbidden");
    stage.opens("them", "server 2");
    stage.heard_kinds("them", &["welcome"]);
}
