WITH RECURSIVE tables AS (
    SELECT c.oid AS home, c.relname::text AS name, c.oid AS part
    FROM pg_class c
    WHERE c.relnamespace = $1::text::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  UNION ALL
    SELECT t.home, t.name, i.inhrelid FROM tables t JOIN pg_inherits i ON i.inhparent = t.part
),
kinds AS (
    SELECT t.oid FROM pg_type t
    WHERE t.typtype IN ('d', 'c', 'r', 'm') AND t.typnamespace <> 'pg_catalog'::regnamespace
),
-- Functions that compute and do nothing else, whoever calls them: PostgreSQL's own, and compiled ones of extensions that an operator has allowed.
quiet AS (
    SELECT p.oid FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
    WHERE p.provolatile = 'i' AND (n.nspname = 'pg_catalog' OR n.nspname = 'extensions' AND l.lanname = 'c')
),
-- What is computed when a row is written.
expressions AS (
    SELECT t.name, c.conbin::text AS tree
    FROM tables t JOIN pg_constraint c ON c.conrelid = t.part WHERE c.conbin IS NOT NULL
  UNION ALL
    SELECT t.name, f.adbin::text
    FROM tables t JOIN pg_attrdef f ON f.adrelid = t.part
    JOIN pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''
  UNION ALL
    SELECT t.name, concat(i.indexprs::text, i.indpred::text)
    FROM tables t JOIN pg_index i ON i.indrelid = t.part WHERE i.indexprs IS NOT NULL OR i.indpred IS NOT NULL
  UNION ALL
    SELECT t.name, p.partexprs::text
    FROM tables t JOIN pg_partitioned_table p ON p.partrelid = t.part WHERE p.partexprs IS NOT NULL
)
SELECT DISTINCT t.name FROM tables t
WHERE EXISTS (
        SELECT FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid
        WHERE a.attrelid = t.part AND a.attnum > 0 AND NOT a.attisdropped
            AND (y.oid IN (SELECT oid FROM kinds) OR y.typelem IN (SELECT oid FROM kinds)))
    OR EXISTS (
        SELECT FROM expressions e, regexp_matches(e.tree, '\{([A-Z_]+)', 'g') AS node
        WHERE e.name = t.name AND node[1] <> ALL (ARRAY['VAR', 'CONST', 'OPEXPR', 'FUNCEXPR', 'BOOLEXPR', 'NULLTEST', 'BOOLEANTEST',
            'SCALARARRAYOPEXPR', 'RELABELTYPE', 'ARRAY', 'ARRAYEXPR', 'COALESCE', 'COALESCEEXPR', 'CASE', 'CASEEXPR', 'WHEN', 'CASEWHEN',
            'DISTINCTEXPR', 'NULLIFEXPR', 'COLLATE', 'COLLATEEXPR']))
    OR EXISTS (
        SELECT FROM expressions e, regexp_matches(e.tree, ':(?:op)?funcid (\d+)', 'g') AS called
        WHERE e.name = t.name AND called[1]::oid NOT IN (SELECT oid FROM quiet))
