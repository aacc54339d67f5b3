//! The tables of a store in one file. `docs/store.md` explains them to whoever reads the file with SQL.
//!
//! A file is known by `application_id` and `user_version`, which lie at fixed places of its first page, so that a file
//! of somebody else is recognised before SQLite touches it.

/// `PRAGMA application_id`: "Saln".
pub const APPLICATION_ID: u32 = 0x5361_6c6e;

/// `PRAGMA user_version`: of the tables below. A newer one is not opened.
pub const VERSION: u32 = 1;

/// What a new file is given, in one transaction.
///
/// - Entries have one key that only grows, so that what is said in a thousand rooms is written to the same few pages;
///   an index finds them by conversation and number. `kind` is 0 for a message; others come.
/// - Ids of conversations are never used again (`AUTOINCREMENT`): entries of one that has ended may still be there,
///   until they are deleted piece by piece (`ended`).
pub const TABLES: &str = "
CREATE TABLE store (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  boot TEXT,
  inode INTEGER NOT NULL,
  clean INTEGER NOT NULL,
  durability TEXT NOT NULL,
  unsaid INTEGER NOT NULL,
  batch INTEGER NOT NULL
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
  created INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE UNIQUE INDEX conversation_name ON conversation (name, other);
CREATE INDEX conversation_other ON conversation (other) WHERE other <> '';
CREATE TABLE entry (
  id INTEGER PRIMARY KEY,
  conversation INTEGER NOT NULL,
  seq INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  ts INTEGER NOT NULL,
  sender TEXT NOT NULL,
  content TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX entry_seq ON entry (conversation, seq);
CREATE TABLE ended (conversation INTEGER PRIMARY KEY) STRICT;
CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
";

/// What holds for every connection to it. What is deleted is overwritten.
pub const CONNECTION: &str = "
PRAGMA trusted_schema = OFF;
PRAGMA cell_size_check = ON;
PRAGMA secure_delete = ON;
";

/// `entry.kind` of a message.
pub const MESSAGE: i64 = 0;
