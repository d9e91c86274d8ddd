-- How many rows of the catalog are about a schema, and a sum that tells which they are and which transaction wrote each. Nothing is deparsed,
-- which makes it ten times as quick as what the rows mean.
WITH home AS MATERIALIZED (SELECT oid FROM pg_namespace WHERE nspname = $1::text),
things AS MATERIALIZED (
    SELECT d.classid, d.objid FROM pg_depend d
    WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = (SELECT oid FROM home) AND d.objsubid = 0
),
types AS MATERIALIZED (
    SELECT t.oid, t.xmin, t.typrelid FROM things s JOIN pg_type t ON t.oid = s.objid WHERE s.classid = 'pg_type'::regclass
),
relations AS MATERIALIZED (
    SELECT objid AS oid FROM things WHERE classid = 'pg_class'::regclass
  UNION
    SELECT typrelid FROM types WHERE typrelid <> 0
),
written (kind, about, part, by) AS (
    SELECT 1, c.oid, 0, c.xmin FROM relations r JOIN pg_class c ON c.oid = r.oid
  UNION ALL
    SELECT 2, a.attrelid, a.attnum, a.xmin FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
    SELECT 3, d.oid, 0, d.xmin FROM relations r JOIN pg_attrdef d ON d.adrelid = r.oid
  UNION ALL
    SELECT 4, i.indexrelid, 0, i.xmin FROM relations r JOIN pg_index i ON i.indrelid = r.oid
  UNION ALL
    -- Indexes depend on their table, not on its schema.
    SELECT 15, c.oid, 0, c.xmin FROM relations r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class c ON c.oid = i.indexrelid
  UNION ALL
    SELECT 5, c.oid, 0, c.xmin FROM relations r JOIN pg_constraint c ON c.conrelid = r.oid
  UNION ALL
    SELECT 6, t.oid, 0, t.xmin FROM relations r JOIN pg_trigger t ON t.tgrelid = r.oid
  UNION ALL
    SELECT 7, p.oid, 0, p.xmin FROM relations r JOIN pg_policy p ON p.polrelid = r.oid
  UNION ALL
    SELECT 8, s.seqrelid, 0, s.xmin FROM relations r JOIN pg_sequence s ON s.seqrelid = r.oid
  UNION ALL
    SELECT 9, w.oid, 0, w.xmin FROM relations r JOIN pg_rewrite w ON w.ev_class = r.oid
  UNION ALL
    SELECT 10, p.oid, 0, p.xmin FROM things t JOIN pg_proc p ON p.oid = t.objid WHERE t.classid = 'pg_proc'::regclass
  UNION ALL
    SELECT 11, t.oid, 0, t.xmin FROM types t
  UNION ALL
    SELECT 12, e.oid, 0, e.xmin FROM types t JOIN pg_enum e ON e.enumtypid = t.oid
  UNION ALL
    SELECT 13, c.oid, 0, c.xmin FROM types t JOIN pg_constraint c ON c.contypid = t.oid
  UNION ALL
    SELECT 14, s.oid, 0, s.xmin FROM relations r JOIN pg_statistic_ext s ON s.stxrelid = r.oid
)
SELECT concat_ws(':', count(*), coalesce(sum(hashtextextended(concat_ws(' ', kind, about, part, by), 0)), 0)) FROM written
