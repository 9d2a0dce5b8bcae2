-- Form 5. Figures that are kept: how many sessions do what, and what all calls came to. They follow the
-- lines by triggers, in the transaction that writes a line, so whatever writes one, a frame, a rebuild or a
-- deletion, need not know of them. A look at the house reads them and no line.

-- For what a session with work in hand waits, in one word.
ALTER TABLE session ADD COLUMN waits TEXT;
-- Whose, for sums by tenant that read no session.
ALTER TABLE usage ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
UPDATE usage SET tenant = coalesce((SELECT s.tenant FROM session s WHERE s.id = usage.session), '');

-- A row whose count has come down to nothing stays until a session of that agent is taken out: states come
-- and go with every turn.
CREATE TABLE census(
  tenant   TEXT    NOT NULL,
  agent    TEXT    NOT NULL,
  status   TEXT    NOT NULL,
  waits    TEXT    NOT NULL,
  sessions INTEGER NOT NULL,
  restarts INTEGER NOT NULL,
  PRIMARY KEY(tenant, agent, status, waits)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER session_comes AFTER INSERT ON session BEGIN
  INSERT INTO census(tenant, agent, status, waits, sessions, restarts)
    VALUES (new.tenant, new.agent, new.status, coalesce(new.waits, ''), 1, new.restarts)
    ON CONFLICT DO UPDATE SET sessions = sessions + 1, restarts = restarts + excluded.restarts;
  -- Calls that were booked before the line that says whose they are.
  UPDATE usage SET tenant = new.tenant WHERE session = new.id AND tenant <> new.tenant;
END;
CREATE TRIGGER session_changes AFTER UPDATE OF tenant, agent, status, waits, restarts ON session
WHEN old.status <> new.status OR old.waits IS NOT new.waits OR old.restarts <> new.restarts
  OR old.agent <> new.agent OR old.tenant <> new.tenant
BEGIN
  UPDATE census SET sessions = sessions - 1, restarts = restarts - old.restarts
    WHERE tenant = old.tenant AND agent = old.agent AND status = old.status
      AND waits = coalesce(old.waits, '');
  INSERT INTO census(tenant, agent, status, waits, sessions, restarts)
    VALUES (new.tenant, new.agent, new.status, coalesce(new.waits, ''), 1, new.restarts)
    ON CONFLICT DO UPDATE SET sessions = sessions + 1, restarts = restarts + excluded.restarts;
END;
CREATE TRIGGER session_moves AFTER UPDATE OF tenant ON session WHEN old.tenant <> new.tenant BEGIN
  UPDATE usage SET tenant = new.tenant WHERE session = new.id AND tenant <> new.tenant;
END;
CREATE TRIGGER session_goes AFTER DELETE ON session BEGIN
  UPDATE census SET sessions = sessions - 1, restarts = restarts - old.restarts
    WHERE tenant = old.tenant AND agent = old.agent AND status = old.status
      AND waits = coalesce(old.waits, '');
  DELETE FROM census WHERE tenant = old.tenant AND agent = old.agent AND sessions = 0;
END;

-- What the calls of sessions that are there came to.
CREATE TABLE booked(
  tenant      TEXT    NOT NULL,
  model       TEXT    NOT NULL,
  agent       TEXT    NOT NULL,
  lines       INTEGER NOT NULL,
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

-- A line of a call as the sums take it: `lines` is 1 where it comes and -1 where it goes.
CREATE VIEW booking(tenant, model, agent, lines, exact, input, cache_read, cache_write, output, reasoning,
  cost, unpriced, unsettled, tokens_max, cost_max) AS
  SELECT tenant, model, agent, 1, kind = 'exact', input, cache_read, cache_write, output, reasoning,
    coalesce(cost, 0), kind = 'exact' AND cost IS NULL, kind = 'unsettled', tokens_max,
    coalesce(cost_max, 0) FROM usage;
-- Sums are held at a mark, which only absurd figures reach: one that overflowed would stop the read model.
-- It is the largest number without the largest that a line may have, 2^63 - 1 - 2^53.
CREATE TRIGGER booking_counts INSTEAD OF INSERT ON booking BEGIN
  INSERT INTO booked(tenant, model, agent, lines, exact, input, cache_read, cache_write, output,
    reasoning, cost, unpriced, unsettled, tokens_max, cost_max)
    VALUES (new.tenant, new.model, new.agent, new.lines,
      new.lines * new.exact, new.lines * new.input, new.lines * new.cache_read,
      new.lines * new.cache_write, new.lines * new.output, new.lines * new.reasoning,
      new.lines * new.cost, new.lines * new.unpriced, new.lines * new.unsettled,
      new.lines * new.tokens_max, new.lines * new.cost_max)
    ON CONFLICT DO UPDATE SET
      lines = lines + excluded.lines, exact = max(0, min(exact + excluded.exact, 9214364837600034815)),
      input = max(0, min(input + excluded.input, 9214364837600034815)),
      cache_read = max(0, min(cache_read + excluded.cache_read, 9214364837600034815)),
      cache_write = max(0, min(cache_write + excluded.cache_write, 9214364837600034815)),
      output = max(0, min(output + excluded.output, 9214364837600034815)),
      reasoning = max(0, min(reasoning + excluded.reasoning, 9214364837600034815)),
      cost = max(0, min(cost + excluded.cost, 9214364837600034815)),
      unpriced = max(0, min(unpriced + excluded.unpriced, 9214364837600034815)),
      unsettled = max(0, min(unsettled + excluded.unsettled, 9214364837600034815)),
      tokens_max = max(0, min(tokens_max + excluded.tokens_max, 9214364837600034815)),
      cost_max = max(0, min(cost_max + excluded.cost_max, 9214364837600034815));
  DELETE FROM booked
    WHERE tenant = new.tenant AND model = new.model AND agent = new.agent AND lines <= 0;
END;
CREATE TRIGGER usage_comes AFTER INSERT ON usage BEGIN
  INSERT INTO booking VALUES (
    new.tenant, new.model, new.agent, 1, new.kind = 'exact', new.input, new.cache_read,
    new.cache_write, new.output, new.reasoning, coalesce(new.cost, 0),
    new.kind = 'exact' AND new.cost IS NULL, new.kind = 'unsettled', new.tokens_max,
    coalesce(new.cost_max, 0));
END;
CREATE TRIGGER usage_goes AFTER DELETE ON usage BEGIN
  INSERT INTO booking VALUES (
    old.tenant, old.model, old.agent, -1, old.kind = 'exact', old.input, old.cache_read,
    old.cache_write, old.output, old.reasoning, coalesce(old.cost, 0),
    old.kind = 'exact' AND old.cost IS NULL, old.kind = 'unsettled', old.tokens_max,
    coalesce(old.cost_max, 0));
END;
CREATE TRIGGER usage_changes AFTER UPDATE ON usage BEGIN
  INSERT INTO booking VALUES (
    old.tenant, old.model, old.agent, -1, old.kind = 'exact', old.input, old.cache_read,
    old.cache_write, old.output, old.reasoning, coalesce(old.cost, 0),
    old.kind = 'exact' AND old.cost IS NULL, old.kind = 'unsettled', old.tokens_max,
    coalesce(old.cost_max, 0));
  INSERT INTO booking VALUES (
    new.tenant, new.model, new.agent, 1, new.kind = 'exact', new.input, new.cache_read,
    new.cache_write, new.output, new.reasoning, coalesce(new.cost, 0),
    new.kind = 'exact' AND new.cost IS NULL, new.kind = 'unsettled', new.tokens_max,
    coalesce(new.cost_max, 0));
END;
