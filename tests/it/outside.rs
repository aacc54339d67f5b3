//! What is said lies in the folder of the store and nowhere else, whatever is done with the store; so nothing is needed
//! beside that folder, as in an image that has no other. (`tests/image` looks at the same in an empty root.)
//!
//! A library that is loaded into Salon (`tests/faults/disk.c`) writes down each file that is made outside.

#![cfg(feature = "sqlite")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::common::{Folder, Server, hear_with, salon, say};
use crate::power_cut::library;

/// A folder for a store, which is watched from outside.
struct Watched {
    library: PathBuf,
    root: PathBuf,
    outside: PathBuf,
    file: String,
}

impl Watched {
    /// Runs Salon with these arguments and this input; returns what it printed.
    fn done(&self, arguments: &[&str], input: &str) -> String {
        let mut command = salon(&[arguments, &["--store", &self.file]].concat());
        self.load(&mut command, &self.root).env_remove("SALON_STORE").stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        let usual = ["serve", "--listen", "127.0.0.1:0", "--admin", "off", "--rate", "off", "--store", &self.file];
        let mut command = salon(&[&usual, arguments].concat());
        Server::run(self.load(&mut command, &self.root))
    }

    fn load<'a>(&self, command: &'a mut std::process::Command, root: &Path) -> &'a mut std::process::Command {
        command.env("LD_PRELOAD", &self.library).env("DISK_FOLDER", root).env("DISK_OUTSIDE", &self.outside)
    }

    /// What was made outside.
    fn outside(&self) -> String {
        fs::read_to_string(&self.outside).unwrap_or_default()
    }
}

/// Rooms whose epochs take more room than SQLite sets aside in memory of itself (64 KiB), messages that are trimmed by
/// more than that, and tables whose index is sorted in pieces of its cache.
#[test]
fn nothing_is_made_outside_of_the_folder() {
    let folder = Folder::new("outside");
    let Some(library) = library(&folder) else { return };
    let root = folder.0.join("disk");
    fs::create_dir_all(&root).unwrap();
    let file = root.join("salon.db").to_str().unwrap().to_owned();
    let store = Watched { library, outside: folder.0.join("outside"), root, file };
    let mut rooms = String::new();
    for n in 0..5000 {
        // Made by name, so that they stay though nothing was said in them.
        let numbers = r#""created":true,"created_at":99999999999999,"epoch":"00000000000000ff","seq":0,"oldest":1,"last_message":0"#;
        writeln!(rooms, r#"{{"kind":"room","room_id":"room-number-{n}",{numbers}}}"#).unwrap();
    }
    store.done(&["store", "import"], &rooms);
    // New epochs, and texts that go.
    let mut server = store.serve(&["--history", "10", "--max-rooms", "10000"]);
    let mut ann = server.connect("/ws?user=ann");
    say(&mut ann, r#"{"type":"join","room_id":"den","id":"in"}"#);
    let joined = hear_with(&mut ann, &[r#""id":"in""#]);
    assert!(joined.contains(r#""type":"joined""#), "{joined}");
    let text = "what was said ".repeat(500);
    for n in 1..=200 {
        say(&mut ann, &format!(r#"{{"type":"broadcast","room_id":"den","content":"{text}","id":"{n}"}}"#));
        hear_with(&mut ann, &[&format!(r#""id":"{n}""#)]);
    }
    server.signal("TERM");
    server.wait();
    // Tables of version 3, with more to be sorted than its cache has room for.
    let by_hand = rusqlite::Connection::open(&store.file).unwrap();
    by_hand
        .execute_batch(
            "DROP INDEX entry_seq; CREATE UNIQUE INDEX entry_seq ON entry (conversation, seq); DROP TABLE trail;
             ALTER TABLE entry DROP COLUMN calls_room; DROP TABLE room_setting;
             PRAGMA user_version = 3;
             WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12000)
             INSERT INTO entry (conversation, seq, kind, ts, sender, content)
               SELECT 1, n, 0, 0, printf('%.1000c', 'x'), 'x' FROM n;
             UPDATE conversation SET seq = 12000 WHERE id = 1;",
        )
        .unwrap();
    drop(by_hand);
    let mut server = store.serve(&[]);
    server.signal("TERM");
    server.wait();
    assert!(store.done(&["store", "check"], "").contains("12010 messages in 5001 rooms"));
    store.done(&["store", "backup", store.root.join("copy.db").to_str().unwrap()], "");
    assert!(store.done(&["store", "export"], "").lines().count() > 5000);
    store.done(&["store", "compact"], "");
    assert_eq!(store.outside(), "");
    // It does write them down: seen from another folder all of it is outside.
    let mut command = salon(&["store", "compact", "--store", &store.file]);
    let elsewhere = store.root.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    assert!(store.load(&mut command, &elsewhere).status().unwrap().success());
    assert!(store.outside().contains("salon.db-new\n"), "{}", store.outside());
}
