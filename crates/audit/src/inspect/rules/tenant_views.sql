-- Views of single tenants: each over one shared table and for its own tenant's rows, or over such views; nothing else may
-- belong to the role that reads all rows. A view's tree tells what its text may hide: in a tree, spaces within names are
-- escaped (PostgreSQL, outfuncs.c).
WITH views AS (
    SELECT c.oid, substr(n.nspname, 3)::uuid AS tenant, c.reloptions, r.ev_action::text AS tree,
           regexp_replace(pg_get_viewdef(c.oid), '^.*\sWHERE\s', '') AS condition,
           ARRAY(SELECT DISTINCT d.refobjid FROM pg_depend d
                 WHERE d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
                   AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> c.oid) AS reads
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_rewrite r ON r.ev_class = c.oid
    WHERE n.nspname ~ '^v_[0-9a-f]{32}$' AND c.relkind = 'v'
)
SELECT v.oid::regclass::text, 'reads a shared table otherwise than for its tenant alone',
       format('DROP VIEW %s CASCADE', v.oid::regclass)
FROM views v
WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = ANY (v.reads) AND c.relnamespace = 'public'::regnamespace)
  AND NOT (cardinality(v.reads) = 1
           -- One query, from one relation, without a join.
           AND cardinality(string_to_array(v.tree, '{QUERY ')) = 2
           AND cardinality(string_to_array(v.tree, '{RANGETBLREF ')) = 2
           AND cardinality(string_to_array(v.tree, '{JOINEXPR ')) = 1
           AND v.condition IN (
               SELECT format(form, quote_ident(c.relname), v.tenant)
               FROM pg_class c, (VALUES ('(tenant_id = ''%2$s''::uuid);'), ('(%1$s.tenant_id = ''%2$s''::uuid);')) f (form)
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
