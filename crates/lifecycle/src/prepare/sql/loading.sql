-- The sessions that write a new tenant's first rows. Written by síndico alone; a row is for one session of one login, so
-- that one which was left over by a crash serves nobody.
CREATE TABLE sindico.loading (role pg_catalog.name NOT NULL, pid pg_catalog.int4 NOT NULL, PRIMARY KEY (role, pid));
-- Schema sindico is open to the app's roles only.
GRANT SELECT ON sindico.loading TO PUBLIC;
-- Whether the session is writing rows that the app's migrations have in a part before this one. Triggers that they
-- create after such rows ask this for every row ever written, so it says no as soon as the session does not claim it.
CREATE FUNCTION sindico.loading(part pg_catalog.int4) RETURNS pg_catalog.bool
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $function$
DECLARE
    claim pg_catalog.text := pg_catalog.current_setting('sindico.loading', true);
BEGIN
    IF pg_catalog.length(claim) OPERATOR(pg_catalog.>) 0 THEN
        IF EXISTS (
            SELECT FROM sindico.loading
            WHERE role OPERATOR(pg_catalog.=) session_user
                AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
        ) THEN
            RETURN claim::pg_catalog.int4 OPERATOR(pg_catalog.<) part;
        END IF;
    END IF;
    RETURN false;
END
$function$;
