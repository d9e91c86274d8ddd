-- Policies that are missing, changed, or more than síndico's. Permissive ones add up: each lets further rows through.
WITH ours (name, command, role, shows) AS (VALUES
    ('tenant', '*', :shared_login, '(tenant_id = ( SELECT (substr((SESSION_USER)::text, 3))::uuid AS substr))'),
    ('entered', '*', :dense,
     '(tenant_id = ( SELECT (substr(NULLIF(current_setting(''backtrace_functions''::text), ''''::text), 3))::uuid AS substr))'),
    ('views', 'r', :views, 'true')
), wanted AS (
    SELECT c.oid AS relation, o.*,
           format('CREATE POLICY %I ON %s FOR %s TO %I USING (%s)', o.name, c.oid::regclass,
                  CASE o.command WHEN 'r' THEN 'SELECT' ELSE 'ALL' END, o.role, o.shows) AS create_it
    FROM pg_class c CROSS JOIN ours o
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
)
SELECT w.relation::regclass::text, format('its policy "%s" is missing', w.name), w.create_it
FROM wanted w
WHERE NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = w.relation AND p.polname = w.name)
UNION ALL
SELECT c.oid::regclass::text, format('has a further policy "%s"', p.polname),
       format('DROP POLICY %I ON %s', p.polname, c.oid::regclass)
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE NOT EXISTS (SELECT FROM wanted w WHERE w.relation = c.oid AND w.name = p.polname)
  AND c.relnamespace::regnamespace::text !~ '^"?pg_'
  AND NOT (c.oid = to_regclass('sindico.loading') AND p.polname = 'own')
UNION ALL
SELECT w.relation::regclass::text, format('its policy "%s" was changed', w.name),
       format('DROP POLICY %I ON %s; %s', w.name, w.relation::regclass, w.create_it)
FROM wanted w JOIN pg_policy p ON p.polrelid = w.relation AND p.polname = w.name
WHERE NOT (p.polcmd = w.command::"char"
           AND p.polpermissive
           AND p.polroles = ARRAY[(SELECT oid FROM pg_roles WHERE rolname = w.role)]
           AND coalesce(pg_get_expr(p.polqual, p.polrelid), '') = w.shows
           AND coalesce(pg_get_expr(p.polwithcheck, p.polrelid), w.shows) = w.shows)
