CREATE TYPE session_kind AS ENUM ('ordinaria', 'extraordinaria', 'solene', 'audiencia');

CREATE TABLE sessions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    legislature_id integer NOT NULL REFERENCES legislatures,
    kind session_kind NOT NULL DEFAULT 'ordinaria',
    number integer NOT NULL CHECK (number > 0),
    starts_at timestamptz NOT NULL,
    ended_at timestamptz,
    agenda text,
    UNIQUE (legislature_id, kind, number),
    CHECK (ended_at >= starts_at)
);

CREATE TABLE attendance (
    session_id bigint REFERENCES sessions ON DELETE CASCADE,
    councillor_id integer REFERENCES councillors ON DELETE CASCADE,
    present boolean NOT NULL DEFAULT true,
    excuse text,
    PRIMARY KEY (session_id, councillor_id),
    CHECK (NOT present OR excuse IS NULL)
);

-- More than half of the seats have to be taken before anything is decided.
CREATE FUNCTION quorum() RETURNS integer
LANGUAGE sql STABLE
AS $$ SELECT seats / 2 + 1 FROM chamber $$;

CREATE FUNCTION has_quorum(of_session bigint) RETURNS boolean
LANGUAGE sql STABLE
AS $$ SELECT count(*) >= quorum() FROM attendance WHERE session_id = of_session AND present $$;

-- Marks somebody present; whoever comes later loses the excuse.
CREATE FUNCTION check_in(at_session bigint, who integer) RETURNS attendance
LANGUAGE sql
AS $$
    INSERT INTO attendance (session_id, councillor_id) VALUES (at_session, who)
    ON CONFLICT (session_id, councillor_id) DO UPDATE SET present = true, excuse = NULL
    RETURNING *
$$;
