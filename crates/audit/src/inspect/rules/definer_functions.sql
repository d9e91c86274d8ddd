-- Functions that run with their owner's rights, other than síndico's own, which belong to a role that can do nothing else, or which nobody
-- but a superuser can reach.
SELECT p.oid::regprocedure::text, format('runs as its owner %s (SECURITY DEFINER)', r.rolname),
       format('ALTER ROUTINE %s SECURITY INVOKER', p.oid::regprocedure)
FROM pg_proc p
JOIN pg_namespace n ON n.oid = p.pronamespace
JOIN pg_roles r ON r.oid = p.proowner
WHERE p.prosecdef AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND NOT (n.nspname = 'sindico' AND r.rolname = :definer
           AND p.proname IN ('enter', 'next_value', 'restart_sequence', 'notify'))
  AND NOT (n.nspname = 'sindico_act' AND r.rolname = :owner AND p.oid = to_regprocedure('sindico_act.as_owner(text)')
           AND p.prosrc = 'BEGIN EXECUTE statement; END' AND p.proconfig IS NULL)
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
