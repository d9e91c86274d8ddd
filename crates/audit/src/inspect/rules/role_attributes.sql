-- Roles of the app's and its tenants' that may do more than log in, and groups that may even do that.
SELECT r.rolname::text,
       'may do more than it should:' || CASE WHEN rolsuper THEN ' SUPERUSER' ELSE '' END
           || CASE WHEN rolbypassrls THEN ' BYPASSRLS' ELSE '' END || CASE WHEN rolcreaterole THEN ' CREATEROLE' ELSE '' END
           || CASE WHEN rolcreatedb THEN ' CREATEDB' ELSE '' END || CASE WHEN rolreplication THEN ' REPLICATION' ELSE '' END
           || CASE WHEN rolcanlogin AND NOT tenant AND rolname <> :dense THEN ' LOGIN' ELSE '' END,
       format('ALTER ROLE %I NOSUPERUSER NOBYPASSRLS NOCREATEROLE NOCREATEDB NOREPLICATION%s', rolname,
              CASE WHEN tenant OR rolname = :dense THEN '' ELSE ' NOLOGIN' END)
FROM (
    SELECT r.*, r.rolname ~ '^[tr]_[0-9a-f]{32}$' AS tenant FROM pg_roles r
    WHERE r.rolname IN (:owner, :definer, :dense, :views, :reports) OR r.rolname = ANY (:groups)
       OR (r.rolname ~ '^[tr]_[0-9a-f]{32}$' AND substr(r.rolname, 3) = ANY (:tenants))) r
WHERE rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication
   OR (rolcanlogin AND NOT tenant AND rolname <> :dense)
