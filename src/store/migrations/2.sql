-- Form 2. Jobs: their lines in the read model, each following the job's own log.
CREATE TABLE job(
  id       TEXT PRIMARY KEY,
  tenant   TEXT    NOT NULL,
  queue    TEXT    NOT NULL,
  state    TEXT    NOT NULL,
  open     INTEGER NOT NULL,
  position INTEGER NOT NULL,
  -- The line itself; the columns before it are what lists are asked for by.
  line     TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX job_tenant ON job(tenant, queue);
-- Few of all jobs are open, and a start asks for these alone.
CREATE INDEX job_open ON job(id) WHERE open = 1;
