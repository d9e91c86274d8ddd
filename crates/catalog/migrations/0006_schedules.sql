-- What begins by itself, and when. All síndico processes look at it; a due time is taken under a lock of its row.
CREATE TABLE sindico.schedules (
    id uuid PRIMARY KEY,
    name text NOT NULL CONSTRAINT schedules_name_key UNIQUE,
    -- What is begun, and with what.
    kind text NOT NULL,
    input jsonb NOT NULL DEFAULT '{}',
    cron text NOT NULL,
    time_zone text NOT NULL,
    enabled boolean NOT NULL DEFAULT true,
    -- The time that is waited for. It only moves on, and with it what has been fired is never due again.
    next_at timestamptz NOT NULL,
    -- When it was last fired or skipped, what that began, and why nothing, if nothing.
    last_at timestamptz,
    last_operation uuid,
    last_error text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX schedules_due_idx ON sindico.schedules (next_at) WHERE enabled;
