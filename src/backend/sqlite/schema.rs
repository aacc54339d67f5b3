//! The tables of a store in one file. `docs/store.md` explains them to whoever reads the file with SQL.
//!
//! A file is known by `application_id` and `user_version`, which lie at fixed places of its first page, so that a file
//! of somebody else is recognised before SQLite touches it.

/// `PRAGMA application_id`: "Saln".
pub const APPLICATION_ID: u32 = 0x5361_6c6e;

/// `PRAGMA user_version`: of the tables below. A newer one is not opened, an older one is migrated.
pub const VERSION: u32 = 7;

/// What a new file is given, in one transaction.
///
/// - Entries have one key that only grows, so that what is said in a thousand rooms is written to the same few pages;
///   an index finds them by conversation and number. `store.last` is the last key: none is used again, also when all
///   entries are gone.
/// - Ids of conversations are never used again (`AUTOINCREMENT`): entries of one that has ended may still be there,
///   until they are deleted piece by piece (`ended`). So are the reactions to a message that is deleted (`deleted`).
/// - A message that was edited has its text in its latest edit only.
pub const TABLES: &str = "
CREATE TABLE store (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  boot TEXT,
  inode INTEGER NOT NULL,
  clean INTEGER NOT NULL,
  durability TEXT NOT NULL,
  unsaid INTEGER NOT NULL,
  batch INTEGER NOT NULL,
  last INTEGER NOT NULL DEFAULT 0,
  indexed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE conversation (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  other TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  first INTEGER NOT NULL,
  title TEXT,
  topic TEXT,
  created_at INTEGER,
  created INTEGER NOT NULL DEFAULT 0,
  message INTEGER NOT NULL DEFAULT 0,
  last INTEGER NOT NULL DEFAULT 0,
  said INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX conversation_name ON conversation (name, other);
CREATE TABLE entry (
  id INTEGER PRIMARY KEY,
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  ts INTEGER NOT NULL,
  sender TEXT NOT NULL,
  content TEXT NOT NULL,
  about INTEGER,
  latest INTEGER,
  reacted INTEGER,
  calls_room INTEGER
) STRICT;
CREATE TABLE ended (conversation INTEGER PRIMARY KEY) STRICT;
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
";

/// What tables of version 1 are given, in one transaction with what follows.
pub const FROM_1: &str = "
ALTER TABLE store ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
ALTER TABLE store ADD COLUMN indexed INTEGER NOT NULL DEFAULT 0;
UPDATE store SET last = coalesce((SELECT max(id) FROM entry), 0);
ALTER TABLE conversation ADD COLUMN message INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversation ADD COLUMN said INTEGER NOT NULL DEFAULT 0;
ALTER TABLE entry ADD COLUMN about INTEGER;
ALTER TABLE entry ADD COLUMN latest INTEGER;
ALTER TABLE entry ADD COLUMN reacted INTEGER;
UPDATE conversation SET message = seq;
UPDATE conversation SET (last, said) =
  (SELECT id, ts FROM entry WHERE conversation = conversation.id AND entry.seq = message)
  WHERE other <> '' AND EXISTS (SELECT 1 FROM entry WHERE conversation = conversation.id AND entry.seq = message);
DROP INDEX conversation_other;
";

/// What tables of version 2 are given: no Salon that was released has made one.
pub const FROM_2: &str = "DROP TABLE IF EXISTS search;";

/// What tables of version 3 are given, in place of an index of conversation and number alone.
pub const FROM_3: &str = "DROP INDEX entry_seq;";

/// What tables of version 5 are given, and those before them.
pub const FROM_5: &str = "ALTER TABLE entry ADD COLUMN calls_room INTEGER;";

/// What version 5 has beside that: the operators' trail. The index is for imports, which take a step once.
pub const SINCE_5: &str = "
CREATE TABLE trail (
  id INTEGER PRIMARY KEY,
  ts INTEGER NOT NULL,
  operator TEXT NOT NULL,
  call TEXT NOT NULL,
  room TEXT,
  user TEXT,
  status INTEGER NOT NULL
) STRICT;
CREATE INDEX trail_ts ON trail (ts);
";

/// What version 7 has beside that: what is set for rooms, by name, in the words of the chat.
pub const SINCE_7: &str =
    "CREATE TABLE room_setting (room TEXT PRIMARY KEY, words TEXT NOT NULL) STRICT, WITHOUT ROWID;";

/// What version 4 has beside that: an entry is found by its number, and messages of others are counted without a look
/// at their rows, which lie apart in the file. That no number is given out twice is for the one transaction that
/// counts it up; [`check`](super::check) looks whether it is so.
pub const SINCE_4: &str = "CREATE INDEX entry_seq ON entry (conversation, seq, kind, sender);";

/// What version 3 has beside that: the index by which messages are searched.
pub const SINCE_3: &str = "
CREATE TABLE part (part INTEGER PRIMARY KEY, dead INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE word (
  part INTEGER NOT NULL,
  word TEXT NOT NULL,
  entries BLOB NOT NULL,
  PRIMARY KEY (part, word)
) STRICT, WITHOUT ROWID;
";

/// What version 2 has beside that.
pub const SINCE_2: &str = "
CREATE INDEX conversation_last ON conversation (name, last) WHERE other <> '';
CREATE INDEX conversation_other_last ON conversation (other, last) WHERE other <> '';
CREATE INDEX entry_change ON entry (conversation, about, seq) WHERE kind IN (1, 2);
CREATE TABLE emoji (
  conversation INTEGER NOT NULL,
  message INTEGER NOT NULL,
  emoji TEXT NOT NULL,
  first INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (conversation, message, emoji)
) STRICT, WITHOUT ROWID;
CREATE TABLE reaction (
  conversation INTEGER NOT NULL,
  message INTEGER NOT NULL,
  emoji TEXT NOT NULL,
  seq INTEGER NOT NULL,
  user TEXT NOT NULL,
  PRIMARY KEY (conversation, message, emoji, seq)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX reaction_user ON reaction (conversation, message, emoji, user);
CREATE TABLE deleted (
  conversation INTEGER NOT NULL,
  message INTEGER NOT NULL,
  PRIMARY KEY (conversation, message)
) STRICT, WITHOUT ROWID;
CREATE TABLE mark (
  user TEXT NOT NULL,
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;
CREATE INDEX mark_conversation ON mark (conversation);
CREATE TABLE ban (user TEXT PRIMARY KEY, until INTEGER, note TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE retry (
  id INTEGER PRIMARY KEY,
  key BLOB NOT NULL,
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  ts INTEGER NOT NULL
) STRICT;
";

/// What holds for every connection to it. What is deleted is overwritten. What SQLite sets aside to take a part of a
/// transaction back by, and what it sorts, lies in memory: its temporary files would be in a folder that others share,
/// with what was said in them, and where the system has no such folder the part could not be done at all.
pub const CONNECTION: &str = "
PRAGMA temp_store = MEMORY;
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA secure_delete = ON;
";

/// `entry.kind` of a message. Its text is in `content`, or in the edit whose seq is in `latest`; `about` is the seq of
/// the message that it answers; `reacted` is not null once there was a reaction to it. Of it and of an edit,
/// `calls_room` is 1 if the text calls everybody in the room; it stands beside the text that stands.
pub const MESSAGE: i64 = 0;

/// Of an edit. Of these three, `about` is the seq of the message, and `latest` that of the newest message before them.
pub const EDIT: i64 = 1;

/// Of a deletion.
pub const DELETION: i64 = 2;

/// Of a reaction: its emoji is in `content`, and `reacted` is 1 if it was added, 0 if it was taken back.
pub const REACTION: i64 = 3;

/// Of a message that is deleted, and keeps nothing but its place and the message that it answers.
pub const DELETED: i64 = 4;

/// Has the next start take the file for a copy, whatever inode it has then: its conversations go on in new epochs.
pub const AS_A_COPY: &str = "UPDATE store SET inode = 0, boot = NULL, clean = 0, durability = 'process'";

/// The part of the index that the key of an entry is in.
pub fn part_of(id: i64) -> i64 {
    id >> PART_BITS
}

/// Keys of one part: a place in it has two bytes in the index.
pub const PART_LEN: i64 = 1 << PART_BITS;
const PART_BITS: u32 = 14;
