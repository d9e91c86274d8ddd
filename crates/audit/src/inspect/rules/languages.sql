-- Functions in languages that can leave the database, other than what extensions brought.
SELECT p.oid::regprocedure::text, format('is written in %s', l.lanname), format('DROP ROUTINE %s', p.oid::regprocedure)
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_language l ON l.oid = p.prolang
WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND l.lanname NOT IN ('sql', 'plpgsql')
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
UNION ALL
SELECT 'language ' || l.lanname, 'is not one that apps may use', format('DROP EXTENSION IF EXISTS %I CASCADE', l.lanname)
FROM pg_language l WHERE l.lanname NOT IN ('internal', 'c', 'sql', 'plpgsql')
