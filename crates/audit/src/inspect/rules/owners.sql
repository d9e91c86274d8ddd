-- Whoever owns a thing may do anything with it: tables and functions belong to the app's owner, síndico's to its definer or
-- an administrator.
SELECT 'relation ' || c.oid::regclass, format('belongs to %s', r.rolname),
       format('ALTER %s %s OWNER TO %I',
              CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'TABLE' END,
              c.oid::regclass, :owner)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_roles r ON r.oid = c.relowner
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND (n.nspname IN ('public', 'global', 'sindico_copy') OR n.nspname ~ '^t_[0-9a-f]{32}$')
  AND r.rolname <> :owner
  -- What belongs to an extension, or to a column and so follows its table.
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype IN ('e', 'a', 'i'))
UNION ALL
SELECT 'function ' || p.oid::regprocedure, format('belongs to %s', r.rolname),
       format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, :owner)
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_roles r ON r.oid = p.proowner
WHERE (n.nspname IN ('public', 'global', 'sindico_copy') OR n.nspname ~ '^t_[0-9a-f]{32}$') AND r.rolname <> :owner
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
UNION ALL
SELECT 'schema ' || n.nspname, format('belongs to %s', r.rolname), format('REASSIGN OWNED BY %I TO CURRENT_USER', r.rolname)
FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
WHERE n.nspname !~ '^pg_' AND NOT r.rolsuper AND r.rolname NOT IN (:definer, :owner, 'pg_database_owner')
  AND NOT (r.rolname = :views AND n.nspname ~ '^v_[0-9a-f]{32}$')
UNION ALL
SELECT 'type ' || t.oid::regtype, format('belongs to %s', r.rolname), format('ALTER TYPE %s OWNER TO %I', t.oid::regtype, :owner)
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace JOIN pg_roles r ON r.oid = t.typowner
WHERE (n.nspname = 'public' OR n.nspname ~ '^t_[0-9a-f]{32}$') AND t.typtype IN ('e', 'd') AND r.rolname <> :owner
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype = 'e')
