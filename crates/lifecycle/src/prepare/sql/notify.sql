-- pg_notify into a channel that only the current tenant can name: its prefix follows from a key that nobody but this
-- function reads. A definer's for that, and because pg_notify itself is taken from everybody in this database.
CREATE FUNCTION sindico.notify(channel pg_catalog.text, payload pg_catalog.text) RETURNS pg_catalog.void
LANGUAGE plpgsql VOLATILE PARALLEL RESTRICTED SECURITY DEFINER
AS $function$
DECLARE
    tenant pg_catalog.text := {tenant};
    key pg_catalog.record;
    prefix pg_catalog.text := '';
BEGIN
    IF tenant IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'no tenant is known whose listeners could be notified',
            HINT = 'Only tenants'' sessions send notifications.';
    END IF;
    -- A channel without a name is refused by pg_notify, in its own words.
    IF channel OPERATOR(pg_catalog.<>) '' THEN
        SELECT inner_block, outer_block INTO key FROM sindico_secret.channel_key;
        prefix := pg_catalog.format('n_%s_', pg_catalog.left(pg_catalog.encode(
            pg_catalog.sha256(key.outer_block OPERATOR(pg_catalog.||) pg_catalog.sha256(
                key.inner_block OPERATOR(pg_catalog.||) pg_catalog.convert_to(tenant, 'UTF8'))),
            'hex'), 21));
    END IF;
    PERFORM pg_catalog.pg_notify(pg_catalog.concat(prefix, channel), payload);
END
$function$;
