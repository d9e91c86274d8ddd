-- Parties as the Tribunal Superior Eleitoral numbers them: the same for every chamber.

CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE EXTENSION IF NOT EXISTS citext;

-- sindico: global
CREATE TABLE parties (
    number smallint PRIMARY KEY CHECK (number BETWEEN 10 AND 99),
    acronym text NOT NULL UNIQUE,
    name text NOT NULL
);

-- sindico: global
CREATE TABLE bill_kinds (
    code text PRIMARY KEY CHECK (code ~ '^[A-Z]{2,4}$'),
    name text NOT NULL,
    -- What it takes to pass: more than half of those present, more than half of all, or two thirds of all.
    majority text NOT NULL DEFAULT 'simple' CHECK (majority IN ('simple', 'absolute', 'qualified'))
);
