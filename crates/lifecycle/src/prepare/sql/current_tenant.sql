-- Who a tenant is, for the default of tenant_id: whoever logged in. session_user is the one name that only a superuser can
-- change. The login that serves many tenants goes by the name that sindico.enter has accepted a token for. Anybody
-- else gets NULL, which no column takes as a tenant_id.
--
-- PL/pgSQL, whose plan is made once per session: an inlined SQL function would cost every statement the reading of
-- its body. Names carry their schema instead of SET search_path, which would cost as much again. One expression, since
-- each one costs again.
CREATE FUNCTION sindico.current_tenant() RETURNS pg_catalog.uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $function$
BEGIN
    RETURN ({tenant})::pg_catalog.uuid;
END
$function$;
