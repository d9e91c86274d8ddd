-- Control data. Identifiers are UUID version 7, made by síndico, so that they sort by creation.
CREATE SCHEMA sindico;

-- Servers that tenants are placed on. The DSN carries a superuser's password and is sealed.
CREATE TABLE sindico.clusters (
    id uuid PRIMARY KEY,
    name text NOT NULL UNIQUE,
    sealed_dsn bytea NOT NULL,
    host text NOT NULL,
    port integer NOT NULL CHECK (port BETWEEN 1 AND 65535),
    server_version integer NOT NULL,
    dedicated boolean NOT NULL,
    capacity integer CHECK (capacity > 0),
    -- What the server calls itself (pg_control_system), so that one server is not registered under two names.
    system_identifier bigint NOT NULL,
    -- Takes tenants. False until every app stands on it.
    ready boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sindico.apps (
    name text PRIMARY KEY,
    title text NOT NULL,
    description text NOT NULL,
    fingerprint text NOT NULL,
    ready boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sindico.app_files (
    app text NOT NULL REFERENCES sindico.apps ON DELETE CASCADE,
    path text NOT NULL,
    content text NOT NULL,
    PRIMARY KEY (app, path)
);

-- Clusters on which an app's databases and group roles stand ready.
CREATE TABLE sindico.app_clusters (
    app text NOT NULL REFERENCES sindico.apps ON DELETE CASCADE,
    cluster uuid NOT NULL REFERENCES sindico.clusters,
    prepared_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, cluster)
);

CREATE TABLE sindico.tenants (
    id uuid PRIMARY KEY,
    slug text NOT NULL CONSTRAINT tenants_slug_key UNIQUE,
    name text NOT NULL,
    app text NOT NULL REFERENCES sindico.apps,
    status text NOT NULL CHECK (status IN ('provisioning', 'active', 'suspended', 'deleting')),
    -- One salt for all keys of a tenant: SCRAM sends it before it can know which of them the client holds.
    salt bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX tenants_app_idx ON sindico.tenants (app, id);
CREATE INDEX tenants_unfinished_idx ON sindico.tenants (id) WHERE status IN ('provisioning', 'deleting');

CREATE TABLE sindico.placements (
    tenant uuid PRIMARY KEY REFERENCES sindico.tenants ON DELETE CASCADE,
    cluster uuid NOT NULL REFERENCES sindico.clusters,
    isolation text NOT NULL CHECK (isolation IN ('shared', 'schema', 'database', 'cluster')),
    database text NOT NULL,
    schema text NOT NULL,
    -- False while a tenant in `schema` has had its schema dropped.
    present boolean NOT NULL DEFAULT true
);
CREATE INDEX placements_cluster_idx ON sindico.placements (cluster);

CREATE TABLE sindico.keys (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL REFERENCES sindico.tenants ON DELETE CASCADE,
    label text NOT NULL,
    access text NOT NULL CHECK (access IN ('read_write', 'read_only')),
    verifier text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz
);
CREATE INDEX keys_tenant_idx ON sindico.keys (tenant, id);

-- Tells every process which tenant or cluster to read again. A trigger, so that no statement can forget it.
CREATE FUNCTION sindico.announce() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    changed jsonb := to_jsonb(CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END);
BEGIN
    PERFORM pg_notify('sindico_routes', TG_ARGV[0] || ':' || (changed ->> TG_ARGV[1]));
    RETURN NULL;
END
$$;

CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON sindico.clusters
    FOR EACH ROW EXECUTE FUNCTION sindico.announce('cluster', 'id');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON sindico.tenants
    FOR EACH ROW EXECUTE FUNCTION sindico.announce('tenant', 'id');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON sindico.placements
    FOR EACH ROW EXECUTE FUNCTION sindico.announce('tenant', 'tenant');
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON sindico.keys
    FOR EACH ROW EXECUTE FUNCTION sindico.announce('tenant', 'tenant');
