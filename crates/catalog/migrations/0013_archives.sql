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
    -- The transaction that removes the rows, and where; written down when the object is whole, before the transaction is committed.
    cluster uuid NOT NULL,
    xid text,
    -- Names and types, in the order of the values.
    columns jsonb,
    -- The values of the rule's column, as PostgreSQL writes them.
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
CREATE INDEX archives_tenant_idx ON sindico.archives (tenant, table_name);
CREATE INDEX archives_expiry_idx ON sindico.archives (expires_at) WHERE state <> 'writing';
CREATE INDEX archives_writing_idx ON sindico.archives (operation) WHERE state = 'writing';
