-- What every pet shop shares: the animals that exist.

-- sindico: global
CREATE TABLE species (
    id smallint PRIMARY KEY,
    name text NOT NULL UNIQUE
);

-- sindico: global
CREATE TABLE breeds (
    id integer PRIMARY KEY,
    species_id smallint NOT NULL REFERENCES species ON DELETE CASCADE,
    name text NOT NULL,
    UNIQUE (species_id, name)
);

COMMENT ON TABLE breeds IS 'Breeds as the kennel clubs name them';
