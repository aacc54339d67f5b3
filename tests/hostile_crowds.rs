//! Too many at once: connections over the limits, and what it costs the others.

mod common;

use std::io::Read;

use common::rows::upgrade;
use common::{Server, exchange, get, hear, say, status};

/// As many as are taken in, and more that wait outside, most of them without a word.
#[test]
fn a_full_house_neither_spins_nor_locks_the_operator_out() {
    let server = Server::serve(&["--max-connections", "1", "--rate", "off"]);
    let mut inside = server.connect("/ws?user=inside");
    hear(&mut inside);
    let silent: Vec<_> = (0..64 + 10).map(|_| server.tcp()).collect();
    // The last of those that are taken in to be refused: from here on the others wait.
    let turns = || {
        let (code, metrics) = get(server.admin.unwrap(), "/metrics");
        assert_eq!(code, 200);
        let line = metrics.lines().find(|line| line.starts_with("salon_turn_seconds_count ")).unwrap();
        line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()
    };
    let mut talk = || {
        for n in 0..100 {
            say(&mut inside, &format!(r#"{{"type":"ping","id":{n}}}"#));
            assert!(hear(&mut inside).starts_with(&format!(r#"{{"type":"pong","id":{n},"#)));
        }
    };
    talk();
    let before = turns();
    talk();
    // One turn a message, and some for the report itself; a loop that spins makes thousands.
    let taken = turns() - before;
    assert!(taken < 300, "{taken} turns for 100 messages");
    // Nobody was sent away meanwhile, so that it was the full house that the operator came into.
    silent[0].set_nonblocking(true).unwrap();
    assert_eq!((&silent[0]).read(&mut [0]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    drop(silent);
    // Those who waited are gone, and who comes now is told again.
    let answer = String::from_utf8(exchange(server.public, &upgrade("/ws"))).unwrap();
    assert_eq!(status(&answer), 503, "{answer}");
}
