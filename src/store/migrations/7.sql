-- Form 7. Lists of jobs come by when each was asked for, from either end: an id that is a key's hash says
-- nothing of that.
ALTER TABLE job ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0;
UPDATE job SET created_at = coalesce(json_extract(line, '$.created_at'), 0);
DROP INDEX job_tenant;
DROP INDEX job_open;
CREATE INDEX job_place        ON job(created_at, id);
CREATE INDEX job_tenant_place ON job(tenant, created_at, id);
-- Few of all jobs are open, and a start asks for these alone.
CREATE INDEX job_open         ON job(created_at, id) WHERE open = 1;
