-- Form 6. When a question was asked, so that a list can say how long it has waited. Of one that is open the
-- frame that asked it is looked for; there are few of them.
ALTER TABLE approval ADD COLUMN asked_at INTEGER NOT NULL DEFAULT 0;
UPDATE approval SET asked_at = coalesce((
  SELECT max(f.at) FROM log l JOIN frame f ON f.log = l.num,
    json_each(CASE WHEN json_valid(f.body) THEN f.body ELSE '[]' END) e
  WHERE l.kind = 'session' AND l.id = approval.session AND f.body LIKE '%"type":"approval_requested"%'
    AND CASE e.type WHEN 'object' THEN json_extract(e.value, '$.type') END = 'approval_requested'
    AND json_extract(e.value, '$.no') = approval.no
), 0);
