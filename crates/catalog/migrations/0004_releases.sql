-- What an app's files were each time that they were given. A version is how many migrations an app has; migrations that a tenant has are
-- never changed afterwards, so the version says which they are.
CREATE TABLE sindico.app_releases (
    app text NOT NULL REFERENCES sindico.apps ON DELETE CASCADE,
    release integer NOT NULL CHECK (release > 0),
    version integer NOT NULL CHECK (version >= 0),
    fingerprint text NOT NULL,
    -- Since when it is known that tables which are migrated to it look like new ones.
    rehearsed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app, release)
);
INSERT INTO sindico.app_releases (app, release, version, fingerprint, created_at)
    SELECT name, 1, (SELECT count(*) FROM sindico.app_files f WHERE f.app = a.name AND f.path LIKE 'migrations/%'),
           fingerprint, created_at
    FROM sindico.apps a;

-- The release that new clusters get.
ALTER TABLE sindico.apps ADD COLUMN release integer NOT NULL DEFAULT 1;

ALTER TABLE sindico.app_files ADD COLUMN release integer NOT NULL DEFAULT 1;
ALTER TABLE sindico.app_files DROP CONSTRAINT app_files_pkey;
ALTER TABLE sindico.app_files ADD PRIMARY KEY (app, release, path);
ALTER TABLE sindico.app_files DROP CONSTRAINT app_files_app_fkey;
ALTER TABLE sindico.app_files ADD FOREIGN KEY (app, release) REFERENCES sindico.app_releases ON DELETE CASCADE;
ALTER TABLE sindico.app_files ALTER COLUMN release DROP DEFAULT;

-- The release that new tenants get on a cluster, and the version of the tables that tenants share there.
ALTER TABLE sindico.app_clusters ADD COLUMN release integer NOT NULL DEFAULT 1;
ALTER TABLE sindico.app_clusters ADD COLUMN version integer;
-- The version of the tables that are the same for all, and whether the others are between two releases.
ALTER TABLE sindico.app_clusters ADD COLUMN global_version integer, ADD COLUMN switching boolean NOT NULL DEFAULT false;
UPDATE sindico.app_clusters c SET version = r.version, global_version = r.version
    FROM sindico.app_releases r WHERE r.app = c.app;
ALTER TABLE sindico.app_clusters ALTER COLUMN version SET NOT NULL, ALTER COLUMN global_version SET NOT NULL,
    ALTER COLUMN release DROP DEFAULT;

-- Which migrations a tenant has, since when, and what kept it from having more.
ALTER TABLE sindico.placements
    ADD COLUMN version integer NOT NULL DEFAULT 0,
    ADD COLUMN migrated_at timestamptz,
    ADD COLUMN migration_error text,
    -- The fingerprint of its tables when they were last looked at, and how they differ from what they should be.
    ADD COLUMN fingerprint text,
    ADD COLUMN drift text;
UPDATE sindico.placements p SET version = (
    SELECT version FROM sindico.app_releases r JOIN sindico.tenants t ON t.app = r.app WHERE t.id = p.tenant);
CREATE INDEX placements_version_idx ON sindico.placements (version);

-- What tables of a version look like on a cluster: `own` for a tenant's own, `shared` for those of several.
CREATE TABLE sindico.app_shapes (
    app text NOT NULL REFERENCES sindico.apps ON DELETE CASCADE,
    cluster uuid NOT NULL REFERENCES sindico.clusters ON DELETE CASCADE,
    version integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('own', 'shared')),
    fingerprint text NOT NULL,
    shape text[] NOT NULL,
    PRIMARY KEY (app, cluster, version, kind)
);
