-- Release 2: several authors of a bill, and what a session decided about.

CREATE TABLE bill_authors (
    bill_id bigint REFERENCES bills ON DELETE CASCADE,
    councillor_id integer REFERENCES councillors ON DELETE CASCADE,
    position smallint NOT NULL DEFAULT 1,
    PRIMARY KEY (bill_id, councillor_id),
    UNIQUE (bill_id, position) DEFERRABLE INITIALLY DEFERRED
);

ALTER TABLE bills ADD COLUMN urgent boolean NOT NULL DEFAULT false;
ALTER TABLE sessions ADD COLUMN video_url text CHECK (video_url LIKE 'https://%');
ALTER TABLE sessions ADD COLUMN minutes text;
ALTER TABLE councillors ALTER COLUMN biography SET DEFAULT '';
ALTER TABLE letters ADD COLUMN sent_at timestamptz NOT NULL DEFAULT now();
CREATE INDEX letters_unanswered ON letters (sent_at) WHERE answered_at IS NULL;

CREATE VIEW councillor_work AS
SELECT c.*, p.acronym AS party, count(DISTINCT b.id) AS bills, count(DISTINCT a.session_id) AS sessions
FROM councillors c
LEFT JOIN parties p ON p.number = c.party_number
LEFT JOIN bills b ON b.author_id = c.id
LEFT JOIN attendance a ON a.councillor_id = c.id AND a.present
GROUP BY c.id, p.number;

CREATE OR REPLACE FUNCTION quorum() RETURNS integer
LANGUAGE sql STABLE
AS $$ SELECT seats / 2 + 1 FROM chamber WHERE id = 1 $$;
