-- Settings of superusers that somebody else may change. One names whom the common login serves, and belongs to the definer.
SELECT 'parameter ' || p.parname, format('%s may %s it', coalesce(g.rolname, 'PUBLIC'), a.privilege_type),
       format('REVOKE %s ON PARAMETER %s FROM %s', a.privilege_type, p.parname, coalesce(quote_ident(g.rolname), 'PUBLIC'))
FROM pg_parameter_acl p
CROSS JOIN LATERAL aclexplode(p.paracl) a
LEFT JOIN pg_roles g ON g.oid = a.grantee
WHERE a.grantee = 0 OR g.rolname IN (:owner, :dense) OR g.rolname = ANY (:groups)
   OR (g.rolname = :definer AND NOT (p.parname = 'backtrace_functions' AND a.privilege_type = 'SET'))
   OR (g.rolname ~ '^[tr]_[0-9a-f]{32}$' AND substr(g.rolname, 3) = ANY (:tenants))
