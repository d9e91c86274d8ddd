-- Databases of the app's that others than their tenants may connect to, make schemas or temporary tables in.
SELECT d.datname::text,
       format('%s may %s', coalesce(g.rolname, 'PUBLIC'), string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type)),
       format('REVOKE %s ON DATABASE %I FROM %s', string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type), d.datname,
              coalesce(quote_ident(g.rolname), 'PUBLIC'))
FROM pg_database d
CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE (d.datname IN (:app_database, :template) OR d.datname ~ ('^' || :app_database || '_[0-9a-f]{32}$'))
  AND a.grantee <> d.datdba
  AND CASE
      WHEN d.datname = :app_database THEN
          (g.rolname IN (:shared_login, :schema_group) AND a.privilege_type IN ('CONNECT', 'TEMPORARY'))
          OR (g.rolname IN (:dense, :reports) AND a.privilege_type = 'CONNECT')
      WHEN d.datname = :template THEN false
      ELSE g.rolname IN ('t_' || right(d.datname, 32), 'r_' || right(d.datname, 32))
          AND a.privilege_type IN ('CONNECT', 'TEMPORARY')
  END IS NOT TRUE
GROUP BY d.datname, g.rolname
