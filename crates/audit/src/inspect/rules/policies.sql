-- Policies that are missing, changed, or more than the one. Permissive ones add up: each lets further rows through.
SELECT c.oid::regclass::text, 'its policy "tenant" is missing',
       format('CREATE POLICY tenant ON %s USING (tenant_id = (SELECT sindico.current_tenant())) '
              'WITH CHECK (tenant_id = (SELECT sindico.current_tenant()))', c.oid::regclass)
FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant')
UNION ALL
SELECT c.oid::regclass::text, format('has a further policy "%s"', p.polname),
       format('DROP POLICY %I ON %s', p.polname, c.oid::regclass)
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE p.polname <> 'tenant' AND c.relnamespace::regnamespace::text !~ '^"?pg_'
  AND NOT (c.oid = to_regclass('sindico.loading') AND p.polname = 'own')
UNION ALL
SELECT c.oid::regclass::text, 'its policy "tenant" was changed',
       format('DROP POLICY tenant ON %1$s; CREATE POLICY tenant ON %1$s USING (tenant_id = (SELECT sindico.current_tenant())) '
              'WITH CHECK (tenant_id = (SELECT sindico.current_tenant()))', c.oid::regclass)
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
WHERE p.polname = 'tenant' AND c.relnamespace = 'public'::regnamespace
  AND NOT (p.polcmd = '*'
           AND p.polroles = '{0}'
           AND coalesce(pg_get_expr(p.polqual, p.polrelid), '') = '(tenant_id = ( SELECT sindico.current_tenant() AS current_tenant))'
           AND coalesce(pg_get_expr(p.polwithcheck, p.polrelid), pg_get_expr(p.polqual, p.polrelid))
               = '(tenant_id = ( SELECT sindico.current_tenant() AS current_tenant))')
