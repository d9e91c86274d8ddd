-- Fired before and after every DDL statement, wherever it stands: in a string, in a function, in a DO block.
CREATE FUNCTION sindico.guard_ddl() RETURNS event_trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $body$
BEGIN
    IF session_user !~ '^[tr]_[0-9a-f]{32}$' AND session_user <> {dense} THEN
        RETURN;
    END IF;
    IF tg_event = 'ddl_command_end' THEN
        PERFORM set_config('lock_timeout', current_setting('sindico.lock_timeout'), true);
    ELSIF tg_tag = ANY ({allowed}) THEN
        PERFORM set_config('sindico.lock_timeout', current_setting('lock_timeout'), true);
        PERFORM set_config('lock_timeout', '1ms', true);
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
