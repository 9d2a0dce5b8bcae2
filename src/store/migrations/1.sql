-- Form 1. The log is the truth; every table below the line "read model" can be rebuilt from it.

-- One row per log: who owns it, where it ends. `applied` is the last frame the read model has
-- followed; below `tail`, the log's part of the read model is stale and waits to be rebuilt.
CREATE TABLE log(
  num     INTEGER PRIMARY KEY,
  kind    TEXT    NOT NULL,
  id      TEXT    NOT NULL,
  token   INTEGER NOT NULL,
  tail    INTEGER NOT NULL,
  chain   BLOB    NOT NULL,
  applied INTEGER NOT NULL,
  UNIQUE(kind, id)
) STRICT;
CREATE INDEX log_stale ON log(num) WHERE applied < tail;

-- All frames of all logs in the order of their commits: appending at one end of one tree is several
-- times faster and smaller than clustering by log. The columns are the envelope, exactly.
CREATE TABLE frame(
  gsn       INTEGER PRIMARY KEY,
  log       INTEGER NOT NULL REFERENCES log(num),
  position  INTEGER NOT NULL,
  token     INTEGER NOT NULL,
  version   INTEGER NOT NULL,
  tenant    TEXT    NOT NULL,
  principal TEXT    NOT NULL,
  caused_by TEXT,
  trace     TEXT,
  at        INTEGER NOT NULL,
  body      TEXT    NOT NULL,
  digest    BLOB    NOT NULL,
  chain     BLOB    NOT NULL
) STRICT;
CREATE UNIQUE INDEX frame_position ON frame(log, position);

-- Large values by the SHA-256 of their bytes.
CREATE TABLE blob(
  sha256 TEXT PRIMARY KEY,
  bytes  BLOB NOT NULL
) STRICT;

-- What is known about the file itself.
CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Read model. No foreign keys between these: a frame may mention a session before its own line.
CREATE TABLE session(
  id         TEXT PRIMARY KEY,
  tenant     TEXT NOT NULL,
  root       TEXT NOT NULL,
  parent     TEXT,
  agent      TEXT NOT NULL,
  name       TEXT,
  status     TEXT NOT NULL,
  waiting_on TEXT,
  wake_at    INTEGER,
  goal       TEXT,
  restarts   INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  position   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_root   ON session(root);
CREATE INDEX session_parent ON session(parent) WHERE parent IS NOT NULL;
CREATE INDEX session_status ON session(status);
CREATE INDEX session_wake   ON session(wake_at) WHERE wake_at IS NOT NULL;

CREATE TABLE approval(
  session    TEXT NOT NULL,
  no         INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  ask        TEXT NOT NULL,
  PRIMARY KEY(session, no)
) STRICT, WITHOUT ROWID;

-- No index by model or by agent: there are few of either, so a sum reads most rows anyway, and each
-- index would be one more page to write for every call.
CREATE TABLE usage(
  session     TEXT NOT NULL,
  call        INTEGER NOT NULL,
  model       TEXT NOT NULL,
  agent       TEXT NOT NULL,
  kind        TEXT NOT NULL,
  input       INTEGER NOT NULL DEFAULT 0,
  cache_read  INTEGER NOT NULL DEFAULT 0,
  cache_write INTEGER NOT NULL DEFAULT 0,
  output      INTEGER NOT NULL DEFAULT 0,
  reasoning   INTEGER NOT NULL DEFAULT 0,
  cost        INTEGER,
  tokens_max  INTEGER NOT NULL DEFAULT 0,
  cost_max    INTEGER,
  PRIMARY KEY(session, call)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoint(
  session TEXT NOT NULL,
  name    TEXT NOT NULL,
  at      INTEGER NOT NULL,
  value   TEXT NOT NULL,
  PRIMARY KEY(session, name)
) STRICT, WITHOUT ROWID;
