//! Messages that are answered, edited, deleted and reacted to, one row a promise.

use super::*;

const TIME: u64 = START;

/// `ann` and `bob` in the den, where `ann` has said `hi` as 1 and `bob` `yo` as 2.
fn den(settings: Settings) -> Stage {
    let mut stage = Stage::json(settings, &["ann", "bob"]);
    for name in ["ann", "bob"] {
        stage.joins(name, "den");
    }
    stage.says("ann", r#"{"type":"broadcast","content":"hi"}"#);
    stage.says("bob", r#"{"type":"broadcast","content":"yo"}"#);
    stage.all_forget();
    stage
}

/// The fields that each request has, beside its type.
fn of(place: &str, kind: &str, of: u64, more: &str) -> String {
    format!(r#"{{"type":"{kind}",{place},"of":{of}{more}}}"#)
}

const DEN: &str = r#""room_id":"den""#;
const UP: &str = r#","emoji":"👍","on":true"#;
const DOWN: &str = r#","emoji":"👍","on":false"#;

/// Everybody in the room hears it, only the device that did it with its `id`; plain sessions hear messages alone.
#[test]
fn who_hears_what_is_done_to_a_message() {
    let mut stage = den(unhurried());
    stage.opens("ann2", "ann");
    stage.joins("ann2", "den");
    stage.opens_plain("dan", "den", "dan");
    stage.all_forget();
    let rows = [
        (
            r#"{"type":"broadcast","content":"re","reply_to":2,"id":1}"#.to_owned(),
            r#""broadcast""#,
            r#""sender":"ann","content":"re","seq":3,"ts":1000000,"reply_to":2}"#,
        ),
        (
            of(DEN, "edit", 1, r#","content":"hi!","id":1"#),
            r#""edited""#,
            r#""of":1,"sender":"ann","content":"hi!","seq":4,"ts":1000000}"#,
        ),
        (
            of(DEN, "react", 2, &format!(r#"{UP},"id":1"#)),
            r#""reaction""#,
            r#""of":2,"sender":"ann","emoji":"👍","on":true,"seq":5,"ts":1000000}"#,
        ),
        (
            of(DEN, "react", 2, &format!(r#"{DOWN},"id":1"#)),
            r#""reaction""#,
            r#""of":2,"sender":"ann","emoji":"👍","on":false,"seq":6,"ts":1000000}"#,
        ),
        (of(DEN, "delete", 1, r#","id":1"#), r#""deleted""#, r#""of":1,"sender":"ann","seq":7,"ts":1000000}"#),
    ];
    for (text, kind, fields) in rows {
        stage.says("ann", &text);
        stage.heard("ann", [format!(r#"{{"type":{kind},"id":1,"room_id":"den",{fields}"#)]);
        for device in ["ann2", "bob"] {
            stage.heard(device, [format!(r#"{{"type":{kind},"room_id":"den",{fields}"#)]);
        }
    }
    stage.heard("dan", [r#"{"type":"chat","content":"re","room":"den","username":"ann"}"#]);
    // Only messages are counted as messages.
    assert_eq!(stage.chat.counts().messages, 3);
    let traffic: Vec<u32> = stage.chat.rooms().map(|room| room.messages).collect();
    assert_eq!(traffic, [3]);
}

/// Between two people the other one is named, whoever did it; all devices of both hear it.
#[test]
fn between_two_people() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens("bob2", "bob");
    let (to_bob, to_ann) = (r#""user_id":"bob""#, r#""user_id":"ann""#);
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"psst"}"#);
    stage.all_forget();
    stage.says("bob", &of(to_ann, "react", 1, &format!(r#"{UP},"id":"r""#)));
    let heard = r#""user_id":"ann","of":1,"sender":"bob","emoji":"👍","on":true,"seq":2,"ts":1000000}"#;
    stage.heard("bob", [format!(r#"{{"type":"reaction","id":"r",{heard}"#)]);
    for device in ["ann", "bob2"] {
        stage.heard(device, [format!(r#"{{"type":"reaction",{heard}"#)]);
    }
    stage.refused("bob", &of(to_ann, "edit", 1, r#","content":"x""#), "forbidden");
    stage.refused("bob", &of(to_ann, "delete", 1, ""), "forbidden");
    stage.says("ann", &of(to_bob, "edit", 1, r#","content":"hey""#));
    stage.says("bob", r#"{"type":"direct","user_id":"ann","content":"what?","reply_to":1}"#);
    stage.all_forget();
    stage.says("bob", r#"{"type":"history","user_id":"ann"}"#);
    let history = stage.takes("bob").remove(0);
    let items = concat!(
        r#""items":[{"sender":"ann","content":"hey","seq":1,"ts":1000000,"edited":1000000,"#,
        r#""reactions":[{"emoji":"👍","count":1,"users":["bob"],"me":true}]},"#,
        r#"{"sender":"bob","content":"what?","seq":4,"ts":1000000,"reply_to":1}]}"#,
    );
    assert!(history.ends_with(items), "{history}");
    stage.says("ann", &of(to_bob, "delete", 1, ""));
    stage.heard_kinds("ann", &["deleted"]);
    stage.refused("ann", &of(to_bob, "react", 1, UP), "not_found");
    stage.refused("ann", r#"{"type":"direct","user_id":"bob","content":"x","reply_to":1}"#, "not_found");
    stage.refused("ann", &of(r#""user_id":"eve""#, "delete", 1, ""), "user_not_found");
}

/// Whatever is refused has no number, and nobody else hears of it.
#[test]
fn what_is_refused() {
    let mut stage = den(unhurried());
    let flags: Vec<String> = ('\u{1f1e6}'..='\u{1f1fa}').map(|letter| format!("{letter}{letter}")).collect();
    for flag in &flags[..20] {
        stage.says("bob", &of(DEN, "react", 2, &format!(r#","emoji":"{flag}","on":true"#)));
    }
    stage.all_forget();
    let last = format!(r#","emoji":"{}","on":true"#, flags[20]);
    for (text, code) in [
        (of(DEN, "edit", 2, r#","content":"x""#), "forbidden"),
        (of(DEN, "edit", 0, r#","content":"x""#), "not_found"),
        (of(DEN, "edit", 3, r#","content":"x""#), "not_found"),
        (of(DEN, "edit", u64::MAX, r#","content":"x""#), "not_found"),
        (of(DEN, "edit", 1, &format!(r#","content":"{}""#, "x".repeat(16_385))), "too_large"),
        (of(DEN, "edit", 1, ""), "bad_request"),
        (of(DEN, "delete", 2, ""), "forbidden"),
        (of(DEN, "delete", 3, ""), "not_found"),
        (of(DEN, "react", 3, UP), "not_found"),
        (of(DEN, "react", 2, &last), "too_large"),
        (of(DEN, "react", 1, r#","emoji":"👍👍","on":true"#), "bad_request"),
        (of(DEN, "react", 1, r#","emoji":"👍""#), "bad_request"),
        (of(DEN, "react", 1, r#","on":true"#), "bad_request"),
        (of(r#""room_id":"attic""#, "delete", 1, ""), "not_joined"),
        (of(r#""room_id":"den","user_id":"bob""#, "delete", 1, ""), "bad_request"),
        (r#"{"type":"delete","room_id":"den"}"#.into(), "bad_request"),
        (r#"{"type":"delete","of":1}"#.into(), "bad_request"),
        (r#"{"type":"broadcast","content":"x","reply_to":3}"#.into(), "not_found"),
        (r#"{"type":"broadcast","content":"x","reply_to":"1"}"#.into(), "bad_request"),
        (r#"{"type":"broadcast","room_id":"*","content":"x","reply_to":1}"#.into(), "bad_request"),
        (r#"{"type":"multicast","user_ids":["bob"],"content":"x","reply_to":1}"#.into(), "bad_request"),
    ] {
        stage.refused("ann", &text, code);
        stage.heard_nothing("bob");
    }
    // The message has one of the twenty, so another user of it is no new one.
    stage.says("ann", &of(DEN, "react", 2, &format!(r#","emoji":"{}","on":true"#, flags[0])));
    stage.heard_kinds("ann", &["reaction"]);
}

/// What changes nothing is answered, and no entry; a retry of what was done has the number of the first.
#[test]
fn again_and_again() {
    let mut stage = den(unhurried());
    stage.says("ann", &of(DEN, "edit", 1, r#","content":"hi","id":"a""#));
    stage.heard("ann", [r#"{"type":"ack","id":"a"}"#]);
    stage.says("ann", &of(DEN, "react", 2, &format!(r#"{DOWN},"id":1"#)));
    stage.heard("ann", [r#"{"type":"ack","id":1}"#]);
    let rows = [
        of(DEN, "react", 2, &format!(r#"{UP},"id":"b""#)),
        of(DEN, "react", 2, &format!(r#"{DOWN},"id":"b""#)),
        of(DEN, "edit", 1, r#","content":"new","id":"b""#),
        of(DEN, "delete", 1, r#","id":"b""#),
    ];
    stage.all_forget();
    for (at, text) in rows.iter().enumerate() {
        stage.says("ann", text);
        assert_eq!(stage.takes("ann").len(), 1);
        stage.says("ann", text);
        let seq = at as u64 + 3;
        stage
            .heard("ann", [format!(r#"{{"type":"ack","id":"b","room_id":"den","seq":{seq},"ts":{TIME},"dup":true}}"#)]);
    }
    assert_eq!(stage.takes("bob").len(), 4);
    // The answers stand when others have been given, and from outside the room.
    stage.says("ann", r#"{"type":"leave","room_id":"den"}"#);
    stage.forgets("ann");
    stage.says("ann", &rows[0]);
    stage.heard("ann", [format!(r#"{{"type":"ack","id":"b","room_id":"den","seq":3,"ts":{TIME},"dup":true}}"#)]);
    // What was refused is judged anew.
    stage.joins("ann", "den");
    stage.refused("ann", &of(DEN, "react", 7, &format!(r#"{UP},"id":"c""#)), "not_found");
    stage.says("bob", r#"{"type":"broadcast","content":"x"}"#);
    stage.all_forget();
    stage.says("ann", &of(DEN, "react", 7, &format!(r#"{UP},"id":"c""#)));
    stage.heard_kinds("ann", &["reaction"]);
}

/// The time within which senders change their messages, at its end and a millisecond past it.
#[test]
fn not_for_ever() {
    let settings = Settings { edit_within: Some(Duration::from_secs(60)), ..unhurried() };
    let mut stage = den(settings);
    stage.waits_ms(60_000);
    stage.says("ann", &of(DEN, "edit", 1, r#","content":"late""#));
    stage.heard_kinds("ann", &["edited"]);
    stage.waits_ms(1);
    stage.all_forget();
    stage.refused("ann", &of(DEN, "edit", 1, r#","content":"later""#), "forbidden");
    stage.refused("ann", &of(DEN, "delete", 1, ""), "forbidden");
    stage.says("ann", &of(DEN, "react", 1, UP));
    stage.heard_kinds("ann", &["reaction"]);
    assert_eq!(
        stage.calls(Call::Delete, r#"{"room_id":"den","of":1}"#),
        r#"{"type":"deleted","room_id":"den","of":1,"sender":"server","seq":5,"ts":1060001}"#
    );
    stage.heard_kinds("bob", &["reaction", "deleted"]);
}

/// History has messages as they stand; `next` leads on over what stands between them.
#[test]
fn history_and_replay_are_folded() {
    let mut stage = den(unhurried());
    stage.says("ann", &of(DEN, "edit", 1, r#","content":"one""#));
    stage.says("ann", &of(DEN, "edit", 1, r#","content":"two""#));
    for user in ["bob", "ann"] {
        stage.says(user, &of(DEN, "react", 1, UP));
    }
    stage.says("bob", &of(DEN, "delete", 2, ""));
    stage.says("ann", r#"{"type":"broadcast","content":"end"}"#);
    stage.all_forget();
    let one = r#""sender":"ann","content":"two","seq":1,"ts":1000000,"edited":1000000,"reactions":[{"emoji":"👍","count":2,"users":["bob","ann"],"me":true}]}"#;
    let two = r#""sender":"bob","seq":2,"ts":1000000,"deleted":true}"#;
    let end = r#""sender":"ann","content":"end","seq":8,"ts":1000000}"#;
    for (bounds, items, next) in [
        ("", format!("{{{one},{{{two},{{{end}"), None),
        (r#","limit":1"#, format!("{{{end}"), Some(8)),
        (r#","before":8,"limit":1"#, format!("{{{two}"), Some(2)),
        (r#","after":2,"limit":1"#, format!("{{{end}"), None),
        (r#","after":0,"limit":2"#, format!("{{{one},{{{two}"), Some(2)),
    ] {
        stage.says("ann", &format!(r#"{{"type":"history","room_id":"den"{bounds}}}"#));
        let heard = stage.takes("ann").remove(0);
        let next = next.map(|next| format!(r#","next":{next}"#)).unwrap_or_default();
        assert!(heard.ends_with(&format!(r#""items":[{items}]{next}}}"#)), "{bounds}: {heard}");
    }
    let epoch = stage.epoch("ann", "den");
    for (who, past, expected) in [
        ("cat", r#""history":2"#.to_owned(), vec![2, 3, 4, 5, 6, 7, 8]),
        ("dan", r#""history":1"#.to_owned(), vec![8]),
        ("eve", format!(r#""since":{{"epoch":"{epoch}","seq":3}}"#), vec![4, 5, 6, 7, 8]),
    ] {
        stage.opens(who, who);
        stage.forgets(who);
        stage.says(who, &format!(r#"{{"type":"join","room_id":"den",{past}}}"#));
        let heard = stage.takes(who);
        let entries: Vec<&String> = heard.iter().filter(|text| number_of(text, "ts").is_some()).collect();
        let seqs: Vec<u64> = entries.iter().map(|text| number_of(text, "seq").unwrap()).collect();
        assert_eq!(seqs, expected, "{who}");
        assert_eq!(number_of(&heard[0], "read"), Some(0), "{who}");
        for text in entries {
            let shown = match number_of(text, "seq") {
                Some(2) => format!(r#"{{"type":"broadcast","room_id":"den",{two}"#),
                // An edit before the last shows the last.
                Some(seq @ (3 | 4)) => format!(
                    r#"{{"type":"edited","room_id":"den","of":1,"sender":"ann","content":"two","seq":{seq},"ts":{TIME}}}"#
                ),
                _ => continue,
            };
            assert_eq!(*text, shown, "{who}");
        }
    }
}

/// A message is deleted by its sender, by a moderator and by the operator.
#[test]
fn who_may_delete() {
    for (roles, may) in [("", false), (r#""moderate""#, true), (r#""admin""#, true)] {
        let mut stage = tokens::stage(unhurried());
        tokens::comes(&mut stage, "ann", &tokens::token("ann", 2000, ""));
        tokens::comes(&mut stage, "mod", &tokens::token("mod", 2000, &format!(r#","roles":[{roles}]"#)));
        stage.joins("ann", "den");
        stage.says("ann", r#"{"type":"broadcast","content":"hi"}"#);
        stage.joins("mod", "den");
        stage.refused("mod", &of(DEN, "edit", 1, r#","content":"x""#), "forbidden");
        stage.says("mod", &of(DEN, "delete", 1, ""));
        stage.heard_kinds("mod", &[if may { "deleted" } else { "forbidden" }]);
        // What ann writes to the moderator alone is hers.
        stage.says("ann", r#"{"type":"direct","user_id":"mod","content":"hi"}"#);
        stage.forgets("mod");
        stage.refused("mod", &of(r#""user_id":"ann""#, "delete", 1, ""), "forbidden");
    }
}

/// The operator deletes what one of two people has written to the other: both hear it, each with the name of the other
/// one, and that neither of them did it.
#[test]
fn the_operator_deletes_between_two_people() {
    let mut stage = Stage::json(unhurried(), &["ann", "bob"]);
    stage.opens("phone", "ann");
    stage.says("ann", r#"{"type":"direct","user_id":"bob","content":"psst"}"#);
    stage.says("ann", r#"{"type":"direct","user_id":"ann","content":"note"}"#);
    stage.all_forget();
    let deleted = |with: &str| {
        format!(r#"{{"type":"deleted","user_id":"{with}","of":1,"sender":"server","seq":2,"ts":1000000}}"#)
    };
    let answer = stage.calls(Call::Delete, r#"{"sender":"bob","user_id":"ann","of":1}"#);
    assert_eq!(answer, deleted("ann"));
    for (device, with) in [("ann", "bob"), ("phone", "bob"), ("bob", "ann")] {
        stage.heard(device, [deleted(with)]);
    }
    assert_eq!(stage.calls(Call::Delete, r#"{"sender":"ann","user_id":"ann","of":1}"#), deleted("ann"));
    for device in ["ann", "phone"] {
        stage.heard(device, [deleted("ann")]);
    }
    stage.heard_nothing("bob");
}

/// What is done while a session catches up comes back to it in its turn, with its `id`.
#[test]
fn amid_a_replay() {
    let mut stage = Stage::json(Settings { replay_bytes: 1, ..unhurried() }, &["ann", "bob"]);
    stage.joins("ann", "den");
    for _ in 0..3 {
        stage.says("ann", r#"{"type":"broadcast","content":"x"}"#);
    }
    stage.holds = true;
    stage.says("bob", r#"{"type":"join","room_id":"den","history":3}"#);
    stage.says("bob", &of(DEN, "react", 1, &format!(r#"{UP},"id":"r""#)));
    let mut heard = stage.takes("bob");
    while stage.drains("bob") {
        heard.extend(stage.takes("bob"));
    }
    let kinds: Vec<String> = heard.iter().map(|text| kind(text)).collect();
    assert_eq!(kinds, ["joined", "broadcast", "broadcast", "broadcast", "reaction", "online_users"]);
    assert_eq!(text_of(&heard[4], "id").as_deref(), Some("r"));
}

/// Only a message ends the typing of its sender.
#[test]
fn typing_goes_on() {
    let mut stage = den(unhurried());
    stage.says("ann", r#"{"type":"typing","room_id":"den","typing":true}"#);
    stage.heard_kinds("bob", &["typing"]);
    stage.says("ann", &of(DEN, "edit", 1, r#","content":"x""#));
    stage.says("ann", &of(DEN, "delete", 1, ""));
    stage.heard_kinds("bob", &["edited", "deleted"]);
    stage.says("ann", r#"{"type":"broadcast","content":"x"}"#);
    stage.heard_kinds("bob", &["typing", "broadcast"]);
}
