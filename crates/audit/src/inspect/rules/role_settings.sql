-- Settings that would meet whoever logs in as one of these roles, or into one of these databases.
SELECT coalesce(r.rolname, 'everybody')::text || coalesce(' in database ' || d.datname, ''),
       'has stored settings: ' || array_to_string(s.setconfig, ', '),
       CASE WHEN r.rolname IS NULL THEN format('ALTER DATABASE %I RESET ALL', d.datname)
            WHEN d.datname IS NULL THEN format('ALTER ROLE %I RESET ALL', r.rolname)
            ELSE format('ALTER ROLE %I IN DATABASE %I RESET ALL', r.rolname, d.datname) END
FROM pg_db_role_setting s
LEFT JOIN pg_roles r ON r.oid = s.setrole
LEFT JOIN pg_database d ON d.oid = s.setdatabase
WHERE r.rolname IN (:owner, :definer, :dense) OR r.rolname = ANY (:groups)
   OR (r.rolname ~ '^[tr]_[0-9a-f]{32}$' AND substr(r.rolname, 3) = ANY (:tenants))
   OR (s.setrole = 0 AND (d.datname IN (:app_database, :template) OR d.datname ~ ('^' || :app_database || '_[0-9a-f]{32}$')))
