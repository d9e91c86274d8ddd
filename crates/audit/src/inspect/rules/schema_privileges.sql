-- Schemas that others may make things in, or that tenants may enter which are not theirs.
SELECT n.nspname::text,
       format('%s has %s', coalesce(g.rolname, 'PUBLIC'), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),
       format('REVOKE %s ON SCHEMA %I FROM %s', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), n.nspname,
              coalesce(quote_ident(g.rolname), 'PUBLIC'))
FROM pg_namespace n
CROSS JOIN LATERAL aclexplode(n.nspacl) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND a.grantee <> n.nspowner
  AND (coalesce(g.rolname, 'PUBLIC') NOT IN (:owner, :definer) OR n.nspname = 'sindico_act')
  AND NOT (a.privilege_type = 'USAGE' AND CASE
      WHEN n.nspname IN ('global', 'extensions', 'sindico') THEN g.rolname = ANY (:groups) OR g.rolname = :dense
          OR (n.nspname <> 'sindico' AND g.rolname IN (:views, :reports))
      WHEN n.nspname = 'public' THEN g.rolname IN (:shared_rw, :shared_ro, :views)
      WHEN n.nspname ~ '^v_[0-9a-f]{32}$' THEN
          g.rolname <> :dense AND g.rolname !~ '^[tr]_[0-9a-f]{32}$' AND NOT g.rolname = ANY (:groups)
      WHEN n.nspname = 'sindico_copy' THEN g.rolname = :shared_rw
      WHEN n.nspname ~ '^[st]_[0-9a-f]{32}$' THEN g.rolname IN ('t_' || substr(n.nspname, 3), 'r_' || substr(n.nspname, 3))
      ELSE false END IS TRUE)
GROUP BY n.nspname, g.rolname
