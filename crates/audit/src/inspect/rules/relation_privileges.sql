-- Privileges on tables, views and sequences that nobody but their owner and the groups should have, and those that row-level
-- security does not look at.
WITH granted AS (
    SELECT c.oid, n.nspname, c.relname, c.relkind, coalesce(g.rolname, 'PUBLIC')::text AS grantee, a.privilege_type, NULL AS part
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(c.relacl) a
    LEFT JOIN pg_roles g ON g.oid = a.grantee
    WHERE a.grantee <> c.relowner AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT c.oid, n.nspname, c.relname, c.relkind, coalesce(g.rolname, 'PUBLIC')::text, a.privilege_type, quote_ident(t.attname)
    FROM pg_attribute t
    JOIN pg_class c ON c.oid = t.attrelid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(t.attacl) a
    LEFT JOIN pg_roles g ON g.oid = a.grantee
    WHERE a.grantee <> c.relowner AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT oid::regclass::text,
       format('%s may %s', grantee, string_agg(privilege_type || coalesce(' of ' || part, ''), ', ' ORDER BY privilege_type)),
       format('REVOKE ALL%s ON %s %s FROM %s', coalesce(' (' || string_agg(DISTINCT part, ', ') || ')', ''),
              CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, oid::regclass,
              CASE grantee WHEN 'PUBLIC' THEN grantee ELSE quote_ident(grantee) END)
FROM granted
WHERE NOT CASE
    WHEN nspname = 'public' THEN part IS NULL AND relkind IN ('r', 'p', 'v')
        AND ((grantee = :shared_rw AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
             OR (grantee = :shared_ro AND privilege_type = 'SELECT')
             OR (grantee = :views AND privilege_type = 'SELECT' AND relkind <> 'v'))
    -- The same rows for everybody, and only tenants may enter the schema.
    WHEN nspname = 'global' THEN (grantee = 'PUBLIC' OR grantee = ANY (:groups)) AND privilege_type = 'SELECT'
    WHEN nspname = 'sindico_copy' THEN grantee = :shared_rw AND privilege_type IN ('SELECT', 'INSERT')
    WHEN nspname = 'sindico' THEN
        (grantee = ANY (:groups) OR relname = 'loading' AND grantee = 'PUBLIC') AND privilege_type = 'SELECT'
    WHEN nspname ~ '^s_[0-9a-f]{32}$' THEN
        (grantee = 't_' || substr(nspname, 3) AND privilege_type IN ('SELECT', 'UPDATE', 'USAGE'))
        OR (grantee = 'r_' || substr(nspname, 3) AND privilege_type = 'SELECT')
    WHEN nspname ~ '^t_[0-9a-f]{32}$' THEN
        (grantee = 't_' || substr(nspname, 3)
         AND privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'USAGE'))
        OR (grantee = 'r_' || substr(nspname, 3) AND privilege_type = 'SELECT')
    -- Who else may read one tenant is the operator's affair, as long as it is no tenant.
    WHEN nspname ~ '^v_[0-9a-f]{32}$' THEN privilege_type = 'SELECT' AND grantee NOT IN ('PUBLIC', :dense)
        AND grantee !~ '^[tr]_[0-9a-f]{32}$' AND NOT grantee = ANY (:groups)
    WHEN nspname = 'extensions' THEN true
    ELSE false
END
GROUP BY oid, grantee, relkind
