-- The guard that keeps tenants' DDL from waiting for locks, and event triggers of anybody else's.
SELECT 'event trigger ' || wanted.name, CASE WHEN e.oid IS NULL THEN 'is missing' ELSE 'is switched off' END,
       CASE WHEN e.oid IS NULL THEN format('CREATE EVENT TRIGGER %I ON %s EXECUTE FUNCTION sindico.guard_ddl()', wanted.name, wanted.event)
            ELSE format('ALTER EVENT TRIGGER %I ENABLE', wanted.name) END
FROM (VALUES ('sindico_guard_start', 'ddl_command_start'), ('sindico_guard_end', 'ddl_command_end')) wanted (name, event)
LEFT JOIN pg_event_trigger e ON e.evtname = wanted.name AND e.evtevent = wanted.event
WHERE e.oid IS NULL OR e.evtenabled = 'D'
UNION ALL
SELECT 'event trigger ' || e.evtname, 'is none of síndico''s', format('DROP EVENT TRIGGER %I', e.evtname)
FROM pg_event_trigger e WHERE e.evtname NOT IN ('sindico_guard_start', 'sindico_guard_end')
UNION ALL
SELECT format('rule %s on %s', w.rulename, w.ev_class::regclass), 'rewrites what tenants'' statements do',
       format('DROP RULE %I ON %s', w.rulename, w.ev_class::regclass)
FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE w.rulename <> '_RETURN' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
