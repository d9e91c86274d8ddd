-- síndico's functions, which only its groups may call, or nobody at all.
SELECT p.oid::regprocedure::text, 'PUBLIC may call it',
       format('REVOKE ALL ON ROUTINE %s FROM PUBLIC', p.oid::regprocedure)
FROM pg_proc p
WHERE p.pronamespace IN (to_regnamespace('sindico'), to_regnamespace('sindico_act'))
  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0)
UNION ALL
SELECT p.oid::regprocedure::text, format('%s may call it', g.rolname),
       format('REVOKE ALL ON ROUTINE %s FROM %I', p.oid::regprocedure, g.rolname)
FROM pg_proc p
CROSS JOIN LATERAL aclexplode(p.proacl) a
JOIN pg_roles g ON g.oid = a.grantee
WHERE a.grantee <> p.proowner AND (p.pronamespace = to_regnamespace('sindico_act')
    OR p.pronamespace = to_regnamespace('sindico')
        AND NOT (g.rolname = ANY (:groups) OR g.rolname IN (:owner, :definer))
        AND NOT (g.rolname = :dense AND p.proname = 'enter'))
