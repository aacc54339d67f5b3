-- The tables of version 1, as its Salon made them.
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
PRAGMA application_id = 1398893678;
PRAGMA user_version = 1;
