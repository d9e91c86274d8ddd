-- Tenants that are made before anybody has asked for them. Until somebody does, they are nobody's, and no door knows of them.
ALTER TABLE sindico.tenants
    DROP CONSTRAINT tenants_status_check,
    ADD CONSTRAINT tenants_status_check CHECK (status IN ('provisioning', 'spare', 'active', 'suspended', 'deleting')),
    -- The app's release that a spare is to be made from, and so with which seed; null for everybody else.
    ADD COLUMN spare_release integer,
    ADD CONSTRAINT tenants_spare_check CHECK (spare_release IS NOT NULL OR status <> 'spare');
CREATE INDEX tenants_spare_idx ON sindico.tenants (app) WHERE spare_release IS NOT NULL;
-- Whoever keeps spares asks what has been wanted lately.
CREATE INDEX tenants_created_idx ON sindico.tenants (created_at) WHERE spare_release IS NULL;
-- Whether tenants of the app may be made before they are asked for.
ALTER TABLE sindico.apps ADD COLUMN warm_pool boolean NOT NULL DEFAULT true;
