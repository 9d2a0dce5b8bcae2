-- Form 4. Deleting: what of a store may go with a tree, and what stays of it.

-- What frames of a log name that is not in them: blobs by their hash, and the session that a fork goes
-- on from. Each frame notes it as it is written, so that nobody reads all logs to find out.
CREATE TABLE link(
  kind TEXT    NOT NULL,
  name TEXT    NOT NULL,
  log  INTEGER NOT NULL REFERENCES log(num),
  PRIMARY KEY(kind, name, log)
) STRICT, WITHOUT ROWID;
CREATE INDEX link_log ON link(log);

-- Blobs that were to go while somebody had just put them again. They go when the store is next opened,
-- unless a frame names them by then.
CREATE TABLE doomed(sha256 TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

-- What deleted trees spent, in sums. It follows from no log any more, so it is no part of the read model.
CREATE TABLE spent(
  tenant      TEXT    NOT NULL,
  model       TEXT    NOT NULL,
  agent       TEXT    NOT NULL,
  exact       INTEGER NOT NULL,
  input       INTEGER NOT NULL,
  cache_read  INTEGER NOT NULL,
  cache_write INTEGER NOT NULL,
  output      INTEGER NOT NULL,
  reasoning   INTEGER NOT NULL,
  cost        INTEGER NOT NULL,
  unpriced    INTEGER NOT NULL,
  unsettled   INTEGER NOT NULL,
  tokens_max  INTEGER NOT NULL,
  cost_max    INTEGER NOT NULL,
  PRIMARY KEY(tenant, model, agent)
) STRICT, WITHOUT ROWID;
