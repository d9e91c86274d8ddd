-- What the vendor decides for all cities: plans, and the cameras that the software knows how to talk to.

CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS citext;
CREATE EXTENSION IF NOT EXISTS pg_trgm;

-- sindico: global
CREATE TABLE plans (
    code text PRIMARY KEY CHECK (code ~ '^[a-z_]+$'),
    name text NOT NULL UNIQUE,
    retention_days integer NOT NULL CHECK (retention_days IN (7, 15, 30)),
    max_cameras integer NOT NULL CHECK (max_cameras BETWEEN 1 AND 1000)
);

-- sindico: global
CREATE TABLE camera_models (
    id integer PRIMARY KEY,
    manufacturer text NOT NULL,
    model text NOT NULL,
    megapixels numeric(4, 1) NOT NULL CHECK (megapixels > 0),
    reads_plates boolean NOT NULL DEFAULT false,
    UNIQUE (manufacturer, model)
);

COMMENT ON TABLE camera_models IS 'Cameras that the drivers were tested with';
