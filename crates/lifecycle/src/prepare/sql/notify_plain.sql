-- The same call where the whole database is one tenant's.
CREATE FUNCTION sindico.notify(channel pg_catalog.text, payload pg_catalog.text) RETURNS pg_catalog.void
LANGUAGE sql VOLATILE PARALLEL RESTRICTED
RETURN pg_catalog.pg_notify(channel, payload);
