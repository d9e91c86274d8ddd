-- Lets a session of the login of many serve the tenant that a token proves, until the end of the transaction or of the
-- session, and says whether it does. The token is `tenant.pid.nonce.mac`: the nonce begins with ten digits, the time of
-- issue in seconds, and the mac is HMAC-SHA-256 (RFC 2104) over everything before it, in hexadecimal. With one that is
-- absent, malformed, forged, another server process's or too old, the session serves nobody from here on.
--
-- What has been accepted is kept in backtrace_functions, because that is a setting which only superusers may change and
-- those whom they let (GRANT SET ON PARAMETER, PostgreSQL 15): the owner of this function, and nobody else. It is
-- made for names of C functions, of which none is called like a tenant's role, so it has no other effect. RESET ALL
-- and DISCARD ALL empty it for anybody, SET and ROLLBACK bring no other tenant back. Proving the token in every
-- statement instead was measured at 34 µs of a processor each; reading a setting costs what reading session_user
-- does, and a thousand rows that default to the current tenant do not cost a thousand proofs.
--
-- The key is kept as the two blocks that HMAC derives from it. The comparison may take as long as it likes: a guess
-- costs one statement, and times tell less than their noise.
CREATE OR REPLACE FUNCTION sindico.enter(token pg_catalog.text, for_transaction pg_catalog.bool) RETURNS pg_catalog.bool
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
AS $function$
DECLARE
    inner_key pg_catalog.bytea;
    outer_key pg_catalog.bytea;
BEGIN
    SELECT inner_block, outer_block INTO inner_key, outer_key FROM sindico_secret.token_key;
    -- The time is read only from a token whose mac is right: whatever stands there otherwise may be no number.
    IF pg_catalog.split_part(token, '.', 2) OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()::pg_catalog.text
        AND pg_catalog.right(token, 64) OPERATOR(pg_catalog.<>) pg_catalog.encode(
            pg_catalog.sha256(outer_key OPERATOR(pg_catalog.||) pg_catalog.sha256(
                inner_key OPERATOR(pg_catalog.||) pg_catalog.convert_to(pg_catalog.left(token, -65), 'UTF8'))),
            'hex')
        AND pg_catalog.left(pg_catalog.split_part(token, '.', 3), 10)::pg_catalog.float8
            OPERATOR(pg_catalog.+) 1e12
            OPERATOR(pg_catalog.>) pg_catalog.date_part('epoch', pg_catalog.transaction_timestamp())
    THEN
        -- Whoever erases a tenant first takes its logins away, then waits for those whom it is served by. A session serves
        -- one tenant at a time, and has no locks of its own.
        IF NOT for_transaction THEN
            PERFORM pg_catalog.pg_advisory_unlock_all();
        END IF;
        PERFORM CASE WHEN for_transaction THEN pg_catalog.pg_advisory_xact_lock_shared(held)
            ELSE pg_catalog.pg_advisory_lock_shared(held) END
        FROM pg_catalog.hashtextextended(pg_catalog.left(token, 32), 0) AS tenant (held);
        IF NOT EXISTS (
            SELECT FROM pg_catalog.pg_roles r
            WHERE r.rolname OPERATOR(pg_catalog.=) pg_catalog.concat('t_', pg_catalog.left(token, 32))::pg_catalog.name
                AND r.rolcanlogin)
        THEN
            PERFORM pg_catalog.set_config('backtrace_functions', '', for_transaction);
            RETURN false;
        END IF;
        PERFORM pg_catalog.set_config('backtrace_functions',
            pg_catalog.concat('t_', pg_catalog.left(token, 32)), for_transaction);
        RETURN true;
    END IF;
    PERFORM pg_catalog.set_config('backtrace_functions', '', for_transaction);
    RETURN false;
END
$function$;
