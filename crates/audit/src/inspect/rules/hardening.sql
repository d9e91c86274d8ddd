-- What PostgreSQL lets everybody call or read, and tenants that share a database must not: other sessions, counters, sizes,
-- advisory locks, large objects, the common notification channels, languages, the planner's counts of rows.
SELECT p.oid::regprocedure::text, 'PUBLIC may call it',
       format('REVOKE EXECUTE ON FUNCTION pg_catalog.%s FROM PUBLIC', p.oid::regprocedure)
FROM pg_proc p
WHERE p.pronamespace = 'pg_catalog'::regnamespace
  AND p.proname ~ '^(pg_stat_get_|pg_lock_status$|pg_blocking_pids$|pg_safe_snapshot_blocking_pids$|pg_prepared_xact$|pg_(relation|total_relation|table|indexes|database|tablespace)_size$|pg_(try_)?advisory_|lo_|lo(read|write)$|pg_notify$|pg_(cancel|terminate)_backend$)'
  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0)
UNION ALL
SELECT p.oid::regprocedure::text, format('%s may call it', g.rolname),
       format('REVOKE EXECUTE ON FUNCTION pg_catalog.%s FROM %I', p.oid::regprocedure, g.rolname)
FROM pg_proc p
CROSS JOIN LATERAL aclexplode(p.proacl) a
JOIN pg_roles g ON g.oid = a.grantee
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND a.grantee <> p.proowner
  AND (g.rolname ~ '^[tr]_[0-9a-f]{32}$' OR g.rolname = ANY (:groups) OR g.rolname = :dense)
  AND NOT (p.proname IN ('pg_cancel_backend', 'pg_terminate_backend', 'pg_advisory_unlock_all')
           AND g.rolname IN (:shared_login, :schema_group))
UNION ALL
SELECT 'language ' || l.lanname, 'PUBLIC may write functions and DO blocks in it',
       format('REVOKE USAGE ON LANGUAGE %I FROM PUBLIC', l.lanname)
FROM pg_language l
WHERE l.lanpltrusted AND EXISTS (SELECT FROM aclexplode(coalesce(l.lanacl, acldefault('l', l.lanowner))) WHERE grantee = 0)
UNION ALL
SELECT 'pg_catalog.pg_class', 'everybody may read ' || string_agg(a.attname, ', '),
       'REVOKE SELECT ON pg_catalog.pg_class FROM PUBLIC, and grant the other columns back'
FROM pg_attribute a
WHERE a.attrelid = 'pg_class'::regclass AND a.attname IN ('reltuples', 'relpages', 'relallvisible', 'relallfrozen')
  AND (EXISTS (SELECT FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x
               WHERE c.oid = 'pg_class'::regclass AND x.grantee = 0 AND x.privilege_type = 'SELECT')
       OR EXISTS (SELECT FROM aclexplode(a.attacl) x WHERE x.grantee = 0))
HAVING count(*) > 0
