-- Extensions off the list of those that apps may use.
SELECT 'extension ' || e.extname, 'is not one that apps may use', format('DROP EXTENSION %I', e.extname)
FROM pg_extension e WHERE NOT e.extname = ANY (:extensions)
UNION ALL
SELECT 'extension ' || e.extname, format('stands in schema %s', n.nspname), format('ALTER EXTENSION %I SET SCHEMA extensions', e.extname)
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql' AND n.nspname <> 'extensions'
