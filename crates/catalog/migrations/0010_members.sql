-- People who belong to a tenant.
CREATE TABLE sindico.members (
    id uuid PRIMARY KEY,
    tenant uuid NOT NULL REFERENCES sindico.tenants ON DELETE CASCADE,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL CHECK (role IN ('org_admin')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- When a letter last went that asks whether the address is theirs, and when they said so.
    asked_at timestamptz,
    confirmed_at timestamptz
);

-- One person is there once, however they write their address.
CREATE UNIQUE INDEX members_tenant_email ON sindico.members (tenant, lower(email));
