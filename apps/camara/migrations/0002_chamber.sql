-- The chamber that this installation serves: one row, with its visual identity.
CREATE TABLE chamber (
    id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
    name text NOT NULL,
    city text NOT NULL,
    state char(2) NOT NULL,
    seats smallint NOT NULL CHECK (seats BETWEEN 9 AND 55),
    identity jsonb NOT NULL DEFAULT '{"primary": "#1351b4", "logo": null}'
);

CREATE TABLE legislatures (
    id serial PRIMARY KEY,
    number smallint NOT NULL UNIQUE CHECK (number > 0),
    starts_on date NOT NULL,
    ends_on date NOT NULL,
    CHECK (ends_on > starts_on),
    CONSTRAINT legislatures_one_at_a_time EXCLUDE USING gist (daterange(starts_on, ends_on, '[]') WITH &&)
);

CREATE TYPE mandate_kind AS ENUM ('titular', 'suplente');

CREATE TABLE councillors (
    id serial PRIMARY KEY,
    slug text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    full_name text NOT NULL,
    called text NOT NULL,
    party_number smallint REFERENCES parties,
    email citext UNIQUE,
    born_on date,
    phones text[] NOT NULL DEFAULT '{}',
    biography text,
    active boolean NOT NULL DEFAULT true
);

CREATE INDEX councillors_by_name ON councillors (lower(called)) WHERE active;

CREATE TABLE mandates (
    councillor_id integer NOT NULL REFERENCES councillors ON DELETE CASCADE,
    legislature_id integer NOT NULL REFERENCES legislatures ON DELETE RESTRICT,
    kind mandate_kind NOT NULL DEFAULT 'titular',
    votes_received integer CHECK (votes_received >= 0),
    period daterange NOT NULL,
    PRIMARY KEY (councillor_id, legislature_id),
    EXCLUDE USING gist (councillor_id WITH =, period WITH &&)
);

CREATE TABLE committees (
    id serial PRIMARY KEY,
    acronym varchar(8) NOT NULL UNIQUE,
    name text NOT NULL,
    permanent boolean NOT NULL DEFAULT true,
    dissolves_on date,
    CHECK (permanent = (dissolves_on IS NULL))
);

CREATE TABLE committee_members (
    committee_id integer REFERENCES committees ON DELETE CASCADE,
    councillor_id integer REFERENCES councillors ON DELETE CASCADE,
    office text NOT NULL DEFAULT 'membro' CHECK (office IN ('presidente', 'relator', 'membro')),
    since date NOT NULL DEFAULT current_date,
    PRIMARY KEY (committee_id, councillor_id)
);

CREATE UNIQUE INDEX committee_members_one_chair ON committee_members (committee_id) WHERE office = 'presidente';
