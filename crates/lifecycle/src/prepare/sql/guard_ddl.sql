-- Fired before and after every DDL statement, wherever it stands: in a string, in a function, in a DO block.
CREATE FUNCTION sindico.guard_ddl() RETURNS event_trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    -- síndico's own functions do DDL for tenants, and a query that fills a table only reads.
    IF (session_user !~ '^[tr]_[0-9a-f]{32}$' AND session_user <> {dense}) OR current_user = {definer}
        OR tg_tag IN ('CREATE TABLE AS', 'SELECT INTO')
    THEN
        RETURN;
    END IF;
    IF tg_event = 'ddl_command_end' THEN
        PERFORM set_config('lock_timeout', current_setting('sindico.lock_timeout'), true);
        -- Bounds of partitions are computed between this trigger and the lock on what is to be a partition.
        IF EXISTS (
            SELECT FROM pg_event_trigger_ddl_commands() made JOIN pg_class ON pg_class.oid = made.objid
            WHERE made.classid = 'pg_class'::regclass AND pg_class.relkind IN ('p', 'I'))
        THEN
            RAISE insufficient_privilege USING
                MESSAGE = 'permission denied: partitioned temporary tables are not for tenants',
                HINT = 'Use an ordinary temporary table.';
        END IF;
    ELSIF tg_tag = ANY ({allowed}) THEN
        PERFORM set_config('sindico.lock_timeout', current_setting('lock_timeout'), true);
        PERFORM set_config('lock_timeout', '50ms', true);
    ELSE
        RAISE insufficient_privilege USING
            MESSAGE = format('permission denied: %s is not for tenants', tg_tag),
            HINT = 'Tables and what belongs to them come from the app''s migrations.';
    END IF;
END
$body$;
REVOKE ALL ON FUNCTION sindico.guard_ddl() FROM PUBLIC;
CREATE EVENT TRIGGER sindico_guard_start ON ddl_command_start EXECUTE FUNCTION sindico.guard_ddl();
CREATE EVENT TRIGGER sindico_guard_end ON ddl_command_end EXECUTE FUNCTION sindico.guard_ddl();
