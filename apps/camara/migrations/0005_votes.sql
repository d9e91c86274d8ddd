CREATE TYPE choice AS ENUM ('sim', 'nao', 'abstencao');

CREATE TABLE ballots (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id bigint NOT NULL REFERENCES sessions ON DELETE CASCADE,
    bill_id bigint NOT NULL REFERENCES bills ON DELETE CASCADE,
    round smallint NOT NULL DEFAULT 1 CHECK (round IN (1, 2)),
    closed_at timestamptz,
    passed boolean,
    UNIQUE (bill_id, round),
    CHECK ((closed_at IS NULL) = (passed IS NULL))
);

CREATE TABLE votes (
    ballot_id bigint REFERENCES ballots ON DELETE CASCADE,
    councillor_id integer REFERENCES councillors ON DELETE RESTRICT,
    choice choice NOT NULL,
    cast_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (ballot_id, councillor_id)
);

CREATE FUNCTION vote_is_open() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    IF EXISTS (SELECT FROM ballots WHERE id = NEW.ballot_id AND closed_at IS NOT NULL) THEN
        RAISE EXCEPTION 'votação % está encerrada', NEW.ballot_id USING ERRCODE = 'CM001';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER votes_open BEFORE INSERT OR UPDATE ON votes FOR EACH ROW EXECUTE FUNCTION vote_is_open();

-- Until the ballot is closed a councillor may vote again; the last vote counts.
CREATE FUNCTION cast_vote(in_ballot bigint, who integer, what choice) RETURNS void
LANGUAGE sql
AS $$
    INSERT INTO votes (ballot_id, councillor_id, choice) VALUES (in_ballot, who, what)
    ON CONFLICT (ballot_id, councillor_id) DO UPDATE SET choice = excluded.choice, cast_at = clock_timestamp()
$$;

CREATE FUNCTION close_ballot(which bigint) RETURNS boolean
LANGUAGE plpgsql
AS $$
DECLARE
    ballot ballots%ROWTYPE;
    majority text;
    all_seats integer;
    voted integer;
    agreed integer;
    verdict boolean;
BEGIN
    SELECT * INTO STRICT ballot FROM ballots WHERE id = which FOR UPDATE;
    IF ballot.closed_at IS NOT NULL THEN
        RETURN ballot.passed;
    END IF;
    IF NOT has_quorum(ballot.session_id) THEN
        RAISE EXCEPTION 'sem quórum na sessão %', ballot.session_id USING ERRCODE = 'CM002',
            HINT = 'Registre as presenças com check_in.';
    END IF;
    SELECT k.majority INTO majority FROM bills b JOIN bill_kinds k ON k.code = b.kind WHERE b.id = ballot.bill_id;
    SELECT seats INTO all_seats FROM chamber;
    SELECT count(*) FILTER (WHERE v.choice <> 'abstencao'), count(*) FILTER (WHERE v.choice = 'sim')
    INTO voted, agreed
    FROM votes v WHERE v.ballot_id = which;
    verdict := CASE majority
        WHEN 'simple' THEN agreed * 2 > voted
        WHEN 'absolute' THEN agreed * 2 > all_seats
        ELSE agreed * 3 >= all_seats * 2
    END;
    UPDATE ballots SET closed_at = now(), passed = verdict WHERE id = which;
    UPDATE bills SET status = CASE WHEN verdict THEN 'aprovada' ELSE 'rejeitada' END::bill_status
    WHERE id = ballot.bill_id;
    RETURN verdict;
EXCEPTION
    WHEN no_data_found THEN
        RAISE EXCEPTION 'não há votação %', which USING ERRCODE = 'CM003';
END
$$;

CREATE VIEW ballot_results AS
SELECT b.id, bills.title, b.round, b.passed,
       count(v.*) FILTER (WHERE v.choice = 'sim') AS yes,
       count(v.*) FILTER (WHERE v.choice = 'nao') AS no,
       count(v.*) FILTER (WHERE v.choice = 'abstencao') AS abstained
FROM ballots b
JOIN bills ON bills.id = b.bill_id
LEFT JOIN votes v ON v.ballot_id = b.id
GROUP BY b.id, bills.id;
