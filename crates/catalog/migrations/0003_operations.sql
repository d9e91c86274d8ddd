-- Durable work: what is to be done, how far it has come, and who is at it.
CREATE TABLE sindico.operations (
    id uuid PRIMARY KEY,
    kind text NOT NULL,
    -- What it changes, and what people call that.
    subject uuid NOT NULL,
    title text NOT NULL,
    input jsonb NOT NULL,
    state text NOT NULL DEFAULT 'queued'
        CHECK (state IN ('queued', 'running', 'undoing', 'succeeded', 'failed', 'cancelled')),
    -- Higher goes first.
    priority smallint NOT NULL DEFAULT 0,
    -- The step that is next or under way, from 0.
    at integer NOT NULL DEFAULT 0,
    -- How often it has been put off since something last went well.
    put_off integer NOT NULL DEFAULT 0,
    due_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    -- Rises with every lease: whoever holds an older one changes nothing any more.
    fence bigint NOT NULL DEFAULT 0,
    leased_until timestamptz,
    cancel_requested boolean NOT NULL DEFAULT false,
    error text,
    progress_done bigint,
    progress_total bigint,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    started_at timestamptz,
    ended_at timestamptz
);
-- One at a time changes a thing.
CREATE UNIQUE INDEX operations_under_way_key ON sindico.operations (subject) WHERE ended_at IS NULL;
CREATE INDEX operations_due_idx ON sindico.operations (priority DESC, due_at) WHERE ended_at IS NULL;
CREATE INDEX operations_subject_idx ON sindico.operations (subject, id);
CREATE INDEX operations_ended_idx ON sindico.operations (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE sindico.operation_steps (
    operation uuid NOT NULL REFERENCES sindico.operations ON DELETE CASCADE,
    number integer NOT NULL,
    name text NOT NULL,
    state text NOT NULL CHECK (state IN ('begun', 'done', 'undone')),
    attempts integer NOT NULL DEFAULT 1,
    output jsonb,
    error text,
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    PRIMARY KEY (operation, number)
);
