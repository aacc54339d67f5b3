//! Turns that take long, as where the process stands still amid one: what somebody is given in such a turn is counted
//! from its end.

use super::tokens::{auth, comes, guarded, stage, token};
use super::*;

impl Stage {
    /// The turn ends, which has taken so long.
    fn turn_takes(&mut self, took: Duration) {
        self.chat.turn_took(self.now.tick, took);
        self.moves_to(self.now.tick + took);
    }

    /// Goes from one deadline to the next, until that has happened; returns how many milliseconds after `began`.
    fn happens(&mut self, began: Tick, mut has: impl FnMut(&mut Stage) -> bool) -> u64 {
        while !has(self) {
            let due = self.chat.next_deadline().expect("it is still to happen");
            self.moves_to(due.max(self.now.tick));
            self.chat.handle_timeout(self.now, &mut self.out);
            self.dispatch();
        }
        self.now.tick.0 - began.0
    }
}

/// What begins in a turn, and what ends it.
struct Row {
    what: &'static str,
    stage: fn() -> Stage,
    begins: fn(&mut Stage),
    is_over: fn(&mut Stage) -> bool,
    /// After how many milliseconds.
    within: u64,
    /// Whether it is given to somebody.
    given: bool,
}

fn den() -> Stage {
    let settings = Settings { leave_grace: Duration::from_secs(3), ..unhurried() };
    let mut stage = Stage::json(settings, &["ann", "bob"]);
    ["ann", "bob"].into_iter().for_each(|name| stage.joins(name, "den"));
    stage.all_forget();
    stage
}

fn hears(stage: &mut Stage, what: &str) -> bool {
    stage.takes("bob").iter().any(|text| text.contains(what))
}

/// The token holds until second 1010.
fn with_tokens() -> Stage {
    let mut stage = stage(Settings { token_grace: Duration::from_secs(30), ..guarded() });
    comes(&mut stage, "old", &token("old", 1_010, ""));
    stage.all_forget();
    stage
}

const ROWS: [Row; 6] = [
    Row {
        what: "somebody may come back",
        stage: den,
        begins: |stage| stage.closes("ann"),
        is_over: |stage| hears(stage, "user_left"),
        within: 3_000,
        given: true,
    },
    Row {
        what: "somebody types",
        stage: den,
        begins: |stage| stage.says("ann", r#"{"type":"typing","room_id":"den","typing":true}"#),
        is_over: |stage| hears(stage, r#""typing":false"#),
        within: 6_000,
        given: true,
    },
    Row {
        what: "a token may be shown",
        stage: with_tokens,
        begins: |stage| stage.open("new", Door::Unproven),
        is_over: |stage| stage.closed_with("new").is_some(),
        within: 10_000,
        given: true,
    },
    Row {
        what: "another token may be shown",
        stage: with_tokens,
        begins: |stage| {
            stage.moves_to(Tick(1_010_000));
            stage.chat.handle_timeout(stage.now, &mut stage.out);
            stage.dispatch();
            stage.heard_kinds("old", &["token_expired"]);
        },
        is_over: |stage| stage.closed_with("old").is_some(),
        within: 30_000,
        given: true,
    },
    Row {
        what: "a token holds",
        stage: with_tokens,
        begins: |stage| {
            stage.says("old", &auth(&token("old", 1_020, ""), 1));
            stage.heard_kinds("old", &["ack"]);
        },
        is_over: |stage| stage.takes("old").iter().any(|text| kind(text) == "token_expired"),
        within: 20_000,
        given: false,
    },
    Row {
        what: "a ban holds",
        stage: den,
        begins: |stage| drop(stage.calls(Call::Ban, r#"{"user_id":"eve","seconds":20}"#)),
        is_over: |stage| stage.chat.counts().bans == 0,
        within: 20_000,
        given: false,
    },
];

/// Each with turns of so many milliseconds, the last of which are longer than what is given in them.
#[test]
fn what_is_given_in_a_long_turn_is_counted_from_its_end() {
    for Row { what, stage, begins, is_over, within, given } in ROWS {
        for took in [0, 20, 99, 100, 2_000, 40_000] {
            let mut stage = stage();
            begins(&mut stage);
            assert!(!is_over(&mut stage), "{what}");
            let began = stage.now.tick;
            stage.turn_takes(Duration::from_millis(took));
            let late = if given && took >= 100 { took } else { 0 };
            // At the earliest in the next turn.
            let over = (within + late).max(took);
            assert_eq!(stage.happens(began, is_over), over, "{what} {took}");
        }
    }
}

/// What was given before goes on through a long turn, and a turn moves nothing twice.
#[test]
fn a_long_turn_puts_off_nothing_that_was_given_before_it() {
    for Row { what, stage, begins, is_over, within, given } in ROWS {
        let mut stage = stage();
        begins(&mut stage);
        let began = stage.now.tick;
        stage.turn_takes(Duration::from_millis(1_000));
        stage.turn_takes(Duration::from_millis(1_500));
        let late = if given { 1_000 } else { 0 };
        assert_eq!(stage.happens(began, is_over), within + late, "{what}");
    }
}
