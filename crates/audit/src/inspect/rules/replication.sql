-- What carries rows to other places. Publications do not ask row-level security.
SELECT 'publication ' || p.pubname, 'publishes rows of tenants', format('DROP PUBLICATION %I', p.pubname) FROM pg_publication p
UNION ALL
SELECT 'subscription ' || s.subname, 'writes rows past row-level security', format('DROP SUBSCRIPTION %I', s.subname)
FROM pg_subscription s WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'replication slot ' || s.slot_name, 'reads the changes of all tenants', format('SELECT pg_drop_replication_slot(%L)', s.slot_name)
FROM pg_replication_slots s WHERE s.database = current_database()
