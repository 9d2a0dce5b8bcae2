-- Form 3. What is asked for at every look at the house is answered by an index alone: how many questions
-- and jobs are open, one page of the questions, the jobs that changed last.

-- The session's tenant, for a count by tenant that reads no session.
ALTER TABLE approval ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
UPDATE approval SET tenant = coalesce((SELECT s.tenant FROM session s WHERE s.id = approval.session), '');
CREATE INDEX approval_place  ON approval(expires_at, session, no);
CREATE INDEX approval_tenant ON approval(tenant, expires_at, session, no);

ALTER TABLE job ADD COLUMN updated_at INTEGER NOT NULL DEFAULT 0;
UPDATE job SET updated_at = coalesce(json_extract(line, '$.updated_at'), 0);
CREATE INDEX job_state         ON job(tenant, state) WHERE open = 1;
CREATE INDEX job_latest        ON job(updated_at, id) WHERE open = 1;
CREATE INDEX job_tenant_latest ON job(tenant, updated_at, id) WHERE open = 1;

-- Where an input stands in its session's log, so that its turn is found without the log's beginning.
CREATE TABLE input(
  session  TEXT    NOT NULL,
  key      TEXT    NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY(session, key)
) STRICT, WITHOUT ROWID;
INSERT OR IGNORE INTO input(session, key, position)
  SELECT l.id, json_extract(e.value, '$.key'), f.position
  FROM frame f JOIN log l ON l.num = f.log,
    json_each(CASE WHEN json_valid(f.body) THEN f.body ELSE '[]' END) e
  WHERE l.kind = 'session' AND f.body LIKE '%"type":"input_accepted"%'
    AND CASE e.type WHEN 'object' THEN json_extract(e.value, '$.type') END = 'input_accepted'
  ORDER BY f.position;
