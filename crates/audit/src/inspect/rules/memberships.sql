-- Memberships beyond a tenant's role in the groups of its app. Who reads views of tenants is the operator's affair.
SELECT member.rolname::text, format('is a member of %s', granted.rolname),
       format('REVOKE %I FROM %I', granted.rolname, member.rolname)
FROM pg_auth_members m
JOIN pg_roles member ON member.oid = m.member
JOIN pg_roles granted ON granted.oid = m.roleid
WHERE (granted.rolname IN (:owner, :definer, :dense, :views)
       OR granted.rolname = ANY (:groups)
       OR (granted.rolname ~ '^[tr]_[0-9a-f]{32}$' AND substr(granted.rolname, 3) = ANY (:tenants))
       OR member.rolname IN (:owner, :definer, :dense, :views)
       OR member.rolname = ANY (:groups)
       OR member.rolname = :reports
       OR (member.rolname ~ '^[tr]_[0-9a-f]{32}$' AND substr(member.rolname, 3) = ANY (:tenants)))
  AND NOT (member.rolname ~ '^[tr]_[0-9a-f]{32}$' AND granted.rolname = ANY (:groups) AND NOT m.admin_option)
  AND NOT (member.rolname = :dense AND granted.rolname = :shared_rw AND NOT m.admin_option)
  -- From version 16 on, whoever makes a role becomes its administrator; superusers are that anyway.
  AND NOT member.rolsuper
