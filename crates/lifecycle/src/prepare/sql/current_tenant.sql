-- Who a tenant is, for row-level security. Whoever logged in: session_user is the one name that only a superuser can
-- change. The login that serves many tenants has to prove by a token whom it serves. Anybody else gets NULL, which equals
-- no tenant_id and is refused as one.
--
-- PL/pgSQL, whose plan is made once per session: an inlined SQL function would cost every statement the reading of its body.
-- Names carry their schema instead of SET search_path, which would cost as much again.
-- PARALLEL RESTRICTED because a token names the process that may use it; as the InitPlan of a policy it hinders no
-- parallel plan.
CREATE FUNCTION sindico.current_tenant() RETURNS pg_catalog.uuid
LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
AS $function$
BEGIN
    -- Roles of this length that begin so are made by síndico only, with the tenant's id as the rest.
    IF pg_catalog.length(session_user) OPERATOR(pg_catalog.=) 34
        AND pg_catalog.left(session_user::pg_catalog.text, 2) OPERATOR(pg_catalog.=) ANY ('{t_,r_}'::pg_catalog.text[])
    THEN
        RETURN pg_catalog.substr(session_user::pg_catalog.text, 3)::pg_catalog.uuid;
    END IF;
    {dense_branch}
    RETURN NULL;
END
$function$;
