-- How long rows of an app's tables are kept, by a column that says from when they are.
CREATE TABLE sindico.retention_rules (
    app text NOT NULL REFERENCES sindico.apps ON DELETE CASCADE,
    table_name text NOT NULL,
    column_name text NOT NULL,
    keep text NOT NULL,
    PRIMARY KEY (app, table_name)
);

-- What a tenant has instead.
CREATE TABLE sindico.tenant_retention (
    tenant uuid NOT NULL REFERENCES sindico.tenants ON DELETE CASCADE,
    table_name text NOT NULL,
    keep text NOT NULL,
    PRIMARY KEY (tenant, table_name)
);

-- What has come of it.
CREATE TABLE sindico.retention_runs (
    tenant uuid NOT NULL REFERENCES sindico.tenants ON DELETE CASCADE,
    table_name text NOT NULL,
    operation uuid NOT NULL,
    -- Ever, and by the last operation.
    removed_in_all bigint NOT NULL DEFAULT 0,
    removed bigint NOT NULL DEFAULT 0,
    -- Rows that could not be removed, and why.
    held bigint NOT NULL DEFAULT 0,
    note text,
    ran_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant, table_name)
);
