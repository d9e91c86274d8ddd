-- In a database of one tenant: schemas, tables, views and sequences that others than the two groups may use.
SELECT n.nspname::text,
       format('%s has %s', coalesce(g.rolname, 'PUBLIC'), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),
       format('REVOKE %s ON SCHEMA %I FROM %s', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), n.nspname,
              coalesce(quote_ident(g.rolname), 'PUBLIC'))
FROM pg_namespace n
CROSS JOIN LATERAL aclexplode(n.nspacl) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND a.grantee <> n.nspowner
  AND (n.nspname = 'sindico_act' OR coalesce(g.rolname, 'PUBLIC') NOT IN (:owner, :definer)
      AND NOT (a.privilege_type = 'USAGE' AND coalesce(g.rolname, 'PUBLIC') IN (:own_rw, :own_ro)))
GROUP BY n.nspname, g.rolname
UNION ALL
SELECT c.oid::regclass::text,
       format('%s may %s', coalesce(g.rolname, 'PUBLIC'), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),
       format('REVOKE ALL ON %s %s FROM %s', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass,
              coalesce(quote_ident(g.rolname), 'PUBLIC'))
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL aclexplode(c.relacl) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'extensions') AND a.grantee <> c.relowner
  AND NOT CASE
      WHEN n.nspname = 'public' THEN
          (g.rolname = :own_rw AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'USAGE'))
          OR (g.rolname = :own_ro AND a.privilege_type = 'SELECT')
      WHEN n.nspname = 'global' THEN (a.grantee = 0 OR g.rolname IN (:own_rw, :own_ro)) AND a.privilege_type = 'SELECT'
      WHEN n.nspname = 'sindico' AND c.relname = 'loading' THEN a.privilege_type = 'SELECT'
      ELSE g.rolname IN (:own_rw, :own_ro) AND a.privilege_type = 'SELECT' END IS TRUE
GROUP BY c.oid, c.relkind, g.rolname
