-- Ways out to other servers.
SELECT 'foreign data wrapper ' || w.fdwname, 'reaches other servers', format('DROP FOREIGN DATA WRAPPER %I CASCADE', w.fdwname)
FROM pg_foreign_data_wrapper w
UNION ALL
SELECT 'foreign server ' || s.srvname, 'reaches another server', format('DROP SERVER %I CASCADE', s.srvname) FROM pg_foreign_server s
