-- Who a tenant is, for row-level security: whoever logged in. session_user is the one name that only a superuser can
-- change. The login that serves many tenants goes by the name that sindico.enter has accepted a token for. Anybody
-- else gets NULL, which equals no tenant_id and is refused as one.
--
-- PL/pgSQL, whose plan is made once per session: an inlined SQL function would cost every statement the reading of
-- its body. Names carry their schema instead of SET search_path, which would cost as much again.
CREATE FUNCTION sindico.current_tenant() RETURNS pg_catalog.uuid
LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $function$
DECLARE
    name pg_catalog.text := {name};
BEGIN
    -- Roles of this length that begin so are made by síndico only, with the tenant's id as the rest.
    IF pg_catalog.length(name) OPERATOR(pg_catalog.=) 34
        AND pg_catalog.left(name, 2) OPERATOR(pg_catalog.=) ANY ('{t_,r_}'::pg_catalog.text[])
    THEN
        RETURN pg_catalog.substr(name, 3)::pg_catalog.uuid;
    END IF;
    RETURN NULL;
END
$function$;
