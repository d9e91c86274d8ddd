-- ALTER SEQUENCE … RESTART for a sequence of the current tenant's own: takes part in the transaction, as TRUNCATE …
-- RESTART IDENTITY does and setval does not.
CREATE FUNCTION sindico.restart_sequence(sequence pg_catalog.text) RETURNS pg_catalog.void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SECURITY DEFINER
AS $function$
DECLARE
    tenant pg_catalog.text := {tenant};
BEGIN
    IF tenant IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'no tenant is known whose sequence could be restarted',
            HINT = 'Only tenants'' sessions have sequences.';
    END IF;
    EXECUTE pg_catalog.format('ALTER SEQUENCE s_%s.%I RESTART', tenant, sequence);
END
$function$;
