-- Raises what it is told to. The gateway puts a call of this in the place of a statement that it refuses, so that
-- order, pipelining and the state of the transaction stay the server's own business. VOLATILE, lest planning raises
-- it.
CREATE FUNCTION sindico.refuse(sqlstate pg_catalog.text, message pg_catalog.text, hint pg_catalog.text)
RETURNS pg_catalog.void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
AS $function$
BEGIN
    RAISE EXCEPTION USING ERRCODE = $1, MESSAGE = $2, HINT = pg_catalog.concat($3);
END
$function$;
-- The same as a type, whose values are the three in a line each. PostgreSQL reads the literal of an array while it
-- parses a statement, and checks a domain's elements as it does so: a refused statement fails where a driver prepares
-- it, before anybody asks for the types of its parameters.
CREATE DOMAIN sindico.refusal AS pg_catalog.text CHECK (sindico.refuse(
    pg_catalog.split_part(VALUE, pg_catalog.chr(10), 1),
    pg_catalog.split_part(VALUE, pg_catalog.chr(10), 2),
    pg_catalog.split_part(VALUE, pg_catalog.chr(10), 3)) IS NULL);
