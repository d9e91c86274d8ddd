-- Copies of tenants in an object store. They outlive their tenants, so nothing here refers to one.
CREATE TABLE sindico.backups (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    slug text NOT NULL,
    name text NOT NULL,
    app text NOT NULL,
    isolation text NOT NULL,
    -- How many of the app's migrations its tables had.
    version integer NOT NULL,
    -- `running` until the last object is written; `removing` from before the first is removed.
    state text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'complete', 'removing')),
    -- Which store, as people call it.
    store text NOT NULL,
    operation uuid NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The moment that the rows are of.
    taken_at timestamptz,
    completed_at timestamptz,
    expires_at timestamptz,
    tables integer,
    rows bigint,
    -- Of the rows as text, and in the store.
    bytes bigint,
    stored_bytes bigint,
    -- When it was last restored for a trial, and what was wrong then.
    verified_at timestamptz,
    verify_error text
);
CREATE INDEX backups_tenant_idx ON sindico.backups (tenant, taken_at DESC) WHERE state = 'complete';
CREATE INDEX backups_expiry_idx ON sindico.backups (expires_at) WHERE state <> 'running';
CREATE INDEX backups_operation_idx ON sindico.backups (operation);
