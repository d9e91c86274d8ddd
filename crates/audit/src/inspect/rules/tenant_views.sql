-- Views of single tenants: each over one shared table and for its own tenant's rows, or over such views; nothing else may
-- belong to the role that reads all rows.
WITH views AS (
    SELECT c.oid, substr(n.nspname, 3)::uuid AS tenant, c.reloptions,
           regexp_replace(pg_get_viewdef(c.oid), '\s+', ' ', 'g') AS query,
           ARRAY(SELECT DISTINCT d.refobjid
                 FROM pg_rewrite r JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                 WHERE r.ev_class = c.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid) AS reads
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname ~ '^v_[0-9a-f]{32}$' AND c.relkind = 'v'
)
SELECT v.oid::regclass::text, 'reads a shared table otherwise than for its tenant alone',
       format('DROP VIEW %s CASCADE', v.oid::regclass)
FROM views v
WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY (v.reads) AND c.relnamespace = 'public'::regnamespace)
  AND NOT (cardinality(v.reads) = 1
           AND right(v.query, -strpos(v.query, ' WHERE ')) IN (
               SELECT format(form, quote_ident(c.relname), v.tenant)
               FROM pg_class c, (VALUES ('WHERE (tenant_id = ''%2$s''::uuid);'), ('WHERE (%1$s.tenant_id = ''%2$s''::uuid);')) f (form)
               WHERE c.oid = ANY (v.reads))
           AND coalesce('security_barrier=true' = ANY (v.reloptions), false))
UNION ALL
SELECT v.oid::regclass::text, 'reads views of another tenant', format('DROP VIEW %s CASCADE', v.oid::regclass)
FROM views v
WHERE EXISTS (SELECT FROM views other WHERE other.oid = ANY (v.reads) AND other.tenant <> v.tenant)
UNION ALL
SELECT format('relation %s', c.oid::regclass), format('belongs to %s, which reads all rows', r.rolname),
       format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, :owner)
FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
WHERE r.rolname = :views AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT (c.relkind = 'v' AND c.relnamespace::regnamespace::text ~ '^v_[0-9a-f]{32}$')
UNION ALL
SELECT format('function %s', p.oid::regprocedure), format('belongs to %s, which reads all rows', r.rolname),
       format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, :owner)
FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner
WHERE r.rolname = :views
UNION ALL
SELECT format('schema %s', n.nspname), 'holds views of a tenant that is not there', format('DROP SCHEMA %I CASCADE', n.nspname)
FROM pg_namespace n
WHERE n.nspname ~ '^v_[0-9a-f]{32}$' AND NOT substr(n.nspname, 3) = ANY (:tenants)
