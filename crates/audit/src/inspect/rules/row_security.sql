-- Tables that tenants share and that row-level security does not guard, or does not guard against their owner. Partitions
-- count for themselves: whoever names one directly meets its own policies and not its parent's.
SELECT c.oid::regclass::text,
       CASE WHEN NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
                THEN 'has no tenant_id, so every tenant has all of it'
            WHEN NOT c.relrowsecurity THEN 'row-level security is off'
            ELSE 'row-level security is not forced on its owner' END,
       format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', c.oid::regclass)
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'f')
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
  AND (NOT c.relrowsecurity OR NOT c.relforcerowsecurity
       OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped))
