-- Views over shared tables that look with their owner's eyes, and copies of rows that no policy guards.
SELECT c.oid::regclass::text,
       CASE c.relkind WHEN 'm' THEN 'is a materialized view, which keeps rows of all tenants'
                      ELSE 'is a view without security_invoker: it shows what its owner may see' END,
       CASE c.relkind WHEN 'm' THEN format('DROP MATERIALIZED VIEW %s', c.oid::regclass)
                      ELSE format('ALTER VIEW %s SET (security_invoker = true)', c.oid::regclass) END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^(pg_|[tv]_[0-9a-f]{32}$)' AND n.nspname NOT IN ('information_schema', 'extensions')
  AND (c.relkind = 'm'
       OR (c.relkind = 'v' AND NOT coalesce(c.reloptions @> ARRAY['security_invoker=true'] OR c.reloptions @> ARRAY['security_invoker=on'], false)))
