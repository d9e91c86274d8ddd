-- The next value of the current tenant's own sequence, named as the app named it. A definer's, because columns'
-- defaults draw for every login, and the login of many tenants must not reach any tenant's sequences by itself.
CREATE FUNCTION sindico.next_value(sequence pg_catalog.text) RETURNS pg_catalog.int8
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
AS $function$
DECLARE
    tenant pg_catalog.text := {tenant};
BEGIN
    IF tenant IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'no tenant is known whose sequence could be drawn from',
            HINT = 'Only tenants'' sessions write to tenants'' tables.';
    END IF;
    RETURN pg_catalog.nextval(pg_catalog.format('s_%s.%I', tenant, sequence)::pg_catalog.regclass);
END
$function$;
