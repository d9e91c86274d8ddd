-- Privileges that tables will have before anybody has thought of them.
SELECT format('default privileges of %s%s', r.rolname, coalesce(' in schema ' || n.nspname, '')),
       'give future objects to others: ' || array_to_string(d.defaclacl, ', '),
       format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s REVOKE ALL ON %s FROM PUBLIC', r.rolname,
              coalesce(' IN SCHEMA ' || quote_ident(n.nspname), ''),
              CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' ELSE 'SCHEMAS' END)
FROM pg_default_acl d
JOIN pg_roles r ON r.oid = d.defaclrole
LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
WHERE EXISTS (SELECT FROM aclexplode(d.defaclacl) a WHERE a.grantee <> d.defaclrole)
