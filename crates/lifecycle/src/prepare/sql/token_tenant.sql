-- Whom the token in the setting sindico.token proves: `tenant.pid.nonce.mac`, where the nonce begins with ten digits, the
-- time of issue in seconds, and the mac is HMAC-SHA-256 (RFC 2104) over everything before it, in hexadecimal. NULL for
-- one that is absent, malformed, forged, another server process's, or too old at the beginning of the transaction.
--
-- The key is kept as the two blocks that HMAC derives from it, so that a statement costs two hashes and no more. The
-- comparison may take as long as it likes: a guess costs one statement, and times tell less than their noise.
CREATE FUNCTION sindico.token_tenant() RETURNS pg_catalog.uuid
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
AS $function$
DECLARE
    token pg_catalog.text := pg_catalog.current_setting('sindico.token', true);
    key pg_catalog.record;
BEGIN
    IF token IS NULL OR token OPERATOR(pg_catalog.=) ''
        OR pg_catalog.split_part(token, '.', 2) OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()::pg_catalog.text
    THEN
        RETURN NULL;
    END IF;
    SELECT inner_block, outer_block INTO key FROM sindico_secret.token_key;
    IF pg_catalog.right(token, 64) OPERATOR(pg_catalog.=) pg_catalog.encode(
            pg_catalog.sha256(key.outer_block OPERATOR(pg_catalog.||) pg_catalog.sha256(
                key.inner_block OPERATOR(pg_catalog.||) pg_catalog.convert_to(pg_catalog.left(token, -65), 'UTF8'))),
            'hex')
        AND pg_catalog.left(pg_catalog.split_part(token, '.', 3), 10)::pg_catalog.float8 OPERATOR(pg_catalog.+) {token_life}
            OPERATOR(pg_catalog.>) pg_catalog.date_part('epoch', pg_catalog.transaction_timestamp())
    THEN
        RETURN pg_catalog.left(token, 32)::pg_catalog.uuid;
    END IF;
    RETURN NULL;
END
$function$;
