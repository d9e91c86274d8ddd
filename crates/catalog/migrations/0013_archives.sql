-- For how long rows are archived that a rule removes; not at all without it.
ALTER TABLE sindico.retention_rules ADD COLUMN archive text;

-- Rows that were removed, in an object store. They outlive their tenants, so nothing here refers to one.
CREATE TABLE sindico.archives (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL,
    slug text NOT NULL,
    app text NOT NULL,
    table_name text NOT NULL,
    -- `writing` until it is known that the rows are gone from the table; `removing` from before the object is removed.
    state text NOT NULL DEFAULT 'writing' CHECK (state IN ('writing', 'kept', 'removing')),
    -- Which store, as people call it.
    store text NOT NULL,
    operation uuid NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- The transaction that removes the rows, and where: a cluster may come to be another server.
    cluster uuid NOT NULL,
    system_identifier bigint NOT NULL,
    xid text NOT NULL,
    -- Names and types, in the order of the values; this and what follows is known when the object is whole.
    columns jsonb,
    -- Between which values of the rule's column the rows are, as PostgreSQL writes them.
    oldest text,
    newest text,
    rows bigint,
    -- Of the rows as text, and in the store.
    bytes bigint,
    stored_bytes bigint,
    -- For how long, or `forever`; without an end there is no `expires_at`.
    keep text NOT NULL,
    archived_at timestamptz,
    expires_at timestamptz
);
CREATE INDEX archives_tenant_idx ON sindico.archives (tenant, id DESC);
CREATE INDEX archives_app_idx ON sindico.archives (app, id DESC);
CREATE INDEX archives_expiry_idx ON sindico.archives (expires_at) WHERE state = 'kept' AND expires_at IS NOT NULL;
CREATE INDEX archives_removing_idx ON sindico.archives (store) WHERE state = 'removing';
CREATE INDEX archives_writing_idx ON sindico.archives (operation) WHERE state = 'writing';
