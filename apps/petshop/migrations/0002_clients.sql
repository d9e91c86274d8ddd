CREATE TABLE clients (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (length(btrim(name)) BETWEEN 1 AND 200),
    email text CHECK (email ~ '^[^@[:space:]]+@[^@[:space:]]+\.[^@[:space:]]+$'),
    phone text CHECK (phone ~ '^[0-9 ()+-]{6,25}$'),
    tax_id varchar(20) UNIQUE,
    street text,
    city text,
    postal_code text,
    notes text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL DEFAULT now(),
    CHECK (email IS NOT NULL OR phone IS NOT NULL)
);

-- One account per address, however it is capitalised.
CREATE UNIQUE INDEX ON clients (lower(email));
CREATE INDEX clients_by_name ON clients (name text_pattern_ops);

CREATE TABLE animals (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id bigint NOT NULL REFERENCES clients ON DELETE CASCADE,
    species_id smallint NOT NULL REFERENCES species,
    breed_id integer REFERENCES breeds ON DELETE SET NULL,
    name text NOT NULL CHECK (name <> ''),
    born_on date CHECK (born_on >= DATE '1950-01-01'),
    weight_kg numeric(6, 2) CHECK (weight_kg > 0),
    microchip char(15),
    neutered boolean NOT NULL DEFAULT false,
    deceased_on date,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (client_id, name),
    CHECK (deceased_on >= born_on)
);

CREATE UNIQUE INDEX animals_microchip ON animals (microchip) WHERE microchip IS NOT NULL;
CREATE INDEX ON animals (species_id, breed_id);

COMMENT ON COLUMN animals.microchip IS 'ISO 11784: fifteen digits';
