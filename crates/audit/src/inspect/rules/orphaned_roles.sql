-- Roles of tenants that no record knows of and that still belong to the app's groups.
SELECT DISTINCT member.rolname::text, 'belongs to no tenant of the control database',
       format('DROP OWNED BY %I; DROP ROLE %I', member.rolname, member.rolname)
FROM pg_auth_members m
JOIN pg_roles member ON member.oid = m.member
JOIN pg_roles granted ON granted.oid = m.roleid
WHERE granted.rolname = ANY (:groups) AND member.rolname ~ '^[tr]_[0-9a-f]{32}$'
  AND NOT substr(member.rolname, 3) = ANY (:tenants)
