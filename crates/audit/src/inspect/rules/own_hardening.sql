-- In a database of one tenant: what shows other sessions and databases of the server.
SELECT p.oid::regprocedure::text, 'PUBLIC may call it',
       format('REVOKE EXECUTE ON FUNCTION pg_catalog.%s FROM PUBLIC', p.oid::regprocedure)
FROM pg_proc p
WHERE p.pronamespace = 'pg_catalog'::regnamespace
  AND p.proname ~ '^(pg_stat_get_(activity|backend_|progress_|db_|wal|replication|subscription|slru|io|archiver|bgwriter|checkpoint|buf_)|pg_lock_status$|pg_(blocking|safe_snapshot_blocking)_pids$|pg_prepared_xact$|pg_(database|tablespace)_size$)'
  AND EXISTS (SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0)
