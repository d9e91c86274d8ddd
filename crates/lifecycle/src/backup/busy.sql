WITH RECURSIVE tables AS (
    SELECT c.oid AS home, c.relname::text AS name, c.oid AS part
    FROM pg_class c
    WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  UNION ALL
    SELECT t.home, t.name, i.inhrelid FROM tables t JOIN pg_inherits i ON i.inhparent = t.part
),
-- What extensions bring is trusted: an operator has allowed each of them.
strange AS (
    SELECT p.oid FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'extensions')
),
kinds AS (
    SELECT t.oid FROM pg_type t
    WHERE t.typtype IN ('d', 'c', 'r', 'm') AND t.typnamespace <> 'pg_catalog'::regnamespace
)
SELECT DISTINCT t.name FROM tables t
WHERE EXISTS (
        SELECT FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
        WHERE a.attrelid = t.part AND a.attnum > 0 AND NOT a.attisdropped AND (y.oid IN (SELECT oid FROM kinds) OR y.typelem IN (SELECT oid FROM kinds)))
    OR EXISTS (SELECT FROM pg_trigger g WHERE g.tgrelid = t.part AND NOT g.tgisinternal AND g.tgenabled IN ('A', 'R'))
    OR EXISTS (
        SELECT FROM pg_depend d
        WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM strange) AND (
            d.classid = 'pg_constraint'::regclass AND d.objid IN (SELECT c.oid FROM pg_constraint c WHERE c.conrelid = t.part)
            OR d.classid = 'pg_class'::regclass AND d.objid IN (SELECT i.indexrelid FROM pg_index i WHERE i.indrelid = t.part)
            OR d.classid = 'pg_attrdef'::regclass AND d.objid IN (
                SELECT f.oid FROM pg_attrdef f JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
                WHERE f.adrelid = t.part AND a.attgenerated <> '')))
