//! Words between nodes, in JSON: neither numbered nor kept, and told by one chat to the others that share its store.
//!
//! Nodes of two versions may hear each other: a word that one does not know, it leaves aside. For whom a word is stands
//! beside it.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::chat) enum Word<'a> {
    /// A user types in the room, or to the user, that the word is for; or has stopped.
    Typing { user: Cow<'a, str>, on: bool },
    /// A message to everybody.
    Announced { sender: Cow<'a, str>, content: Cow<'a, str>, ts: u64 },
    /// The user whom the word is for is put out: of a room, or of the server.
    Kicked { room: Option<Cow<'a, str>> },
    /// The devices of the user whom the word is for are to come back, or not, as the code says.
    Disconnected { code: Option<u64> },
}

/// How a user is on a node.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::chat) struct Stand<'a> {
    pub devices: u32,
    pub guest: bool,
    pub status: Cow<'a, str>,
    pub note: Option<Cow<'a, str>>,
    /// When the status was set, in milliseconds since the Unix epoch; 0: never.
    pub since: u64,
}

impl<'a> Stand<'a> {
    pub fn write(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }

    /// `None`: it cannot be read here.
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl<'a> Word<'a> {
    pub fn write(&self) -> String {
        serde_json::to_string(self).expect("texts and numbers can be written")
    }

    /// `None`: no word that is known here.
    pub fn read(text: &'a str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_out_as_they_went_in() {
        for word in [
            Word::Typing { user: "ann".into(), on: true },
            Word::Announced { sender: "salon".into(), content: "two\n\"lines\"".into(), ts: 7 },
            Word::Kicked { room: None },
            Word::Kicked { room: Some("bär".into()) },
            Word::Disconnected { code: Some(4200) },
        ] {
            let text = word.write();
            assert!(!text.contains('\n'), "{text}");
            assert_eq!(Word::read(&text), Some(word), "{text}");
        }
        let (status, note) = ("busy".into(), Some("a\tb".into()));
        let stand = Stand { devices: 2, guest: false, status, note, since: 7 };
        let text = stand.write();
        assert_eq!(Stand::read(&text), Some(stand), "{text}");
        for unknown in ["", "{}", r#"{"sung":{"song":"la"}}"#, r#"{"typing":{"user":1,"on":true}}"#] {
            assert_eq!(Word::read(unknown), None, "{unknown}");
        }
    }
}
