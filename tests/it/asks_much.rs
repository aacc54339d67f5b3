//! Clients that ask for much in one breath: they get it one after the other, whatever store there is.

#![cfg(feature = "sqlite")]

use tungstenite::Message;

use crate::common::{Folder, Server, exchange, hear_with, joined, metric, say};

/// Twelve long pages that are asked for in one write, with a goodbye behind them or not, over a socket and over HTTP.
/// Together they are more than may wait for a client.
#[test]
fn many_pages_in_one_write() {
    let folder = Folder::new("asks-much");
    for store in ["memory", &folder.file()] {
        let server = Server::serve(&["--rate", "off", "--store", store]);
        let admin = server.admin.unwrap();
        let mut ann = joined(&server, "ann", "den");
        let content = "x".repeat(16_000);
        for n in 0..10 {
            say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"{content}","id":{n}}}"#));
            hear_with(&mut ann, &[r#""type":"broadcast""#, &format!(r#""id":{n}"#)]);
        }
        for leaves in [false, true] {
            let mut bob = joined(&server, "bob", "den");
            for n in 0..PAGES {
                let request = format!(r#"{{"type":"history","room_id":"den","limit":200,"id":"page {n}"}}"#);
                bob.write(Message::text(request)).unwrap();
            }
            if leaves {
                bob.close(None).unwrap();
            }
            bob.flush().unwrap();
            for n in 0..PAGES {
                let page = hear_with(&mut bob, &[r#""type":"history""#]);
                assert!(
                    page.contains(&format!(r#""id":"page {n}""#)) && page.len() > 120_000,
                    "{store}: {}",
                    page.len()
                );
            }
        }
        let body = r#"{"room_id":"den","limit":200}"#;
        let request = |n| {
            let close = if n + 1 == PAGES { "Connection: close\r\n" } else { "" };
            let length = body.len();
            format!(
                "POST /api/history HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
                 Content-Length: {length}\r\n{close}\r\n{body}"
            )
        };
        let answers = exchange(admin, (0..PAGES).map(request).collect::<String>().as_bytes());
        let answers = String::from_utf8(answers).unwrap();
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), PAGES, "{store}");
        assert!(answers.len() > PAGES * 120_000);
        assert_eq!(metric(admin, r#"salon_cut_off_total{reason="outbox_bytes"}"#), 0, "{store}");
    }
}

const PAGES: usize = 12;
