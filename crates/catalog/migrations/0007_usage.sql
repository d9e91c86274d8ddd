-- What tenants use: how much of their clusters, from PostgreSQL's own statistics, and how much of síndico.

-- Processes that count, while they do. One that has been silent for long is taken out, and what it had counted stays.
CREATE TABLE sindico.usage_processes (
    id uuid PRIMARY KEY,
    seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What a process has counted of a tenant since it began. Each writes its own rows and writes them whole, so that writing twice changes
-- nothing; a tenant's numbers are the sums. Of processes that are no more they are added up under the nil id.
CREATE TABLE sindico.usage_counters (
    tenant uuid NOT NULL REFERENCES sindico.tenants ON DELETE CASCADE,
    process uuid NOT NULL,
    -- Clients that are connected.
    clients bigint NOT NULL,
    transactions bigint NOT NULL,
    queries bigint NOT NULL,
    errors bigint NOT NULL,
    received bigint NOT NULL,
    sent bigint NOT NULL,
    PRIMARY KEY (tenant, process)
);
CREATE INDEX usage_counters_process_idx ON sindico.usage_counters (process);

CREATE TABLE sindico.usage_samples (
    tenant uuid NOT NULL REFERENCES sindico.tenants ON DELETE CASCADE,
    taken_at timestamptz NOT NULL,
    isolation text NOT NULL,
    rows bigint NOT NULL,
    bytes bigint NOT NULL,
    -- Whether bytes are a share of tables that tenants have in common, or as old as the statistics.
    bytes_estimated boolean NOT NULL,
    -- The oldest analysis that the rows follow from.
    analyzed_at timestamptz,
    -- Tables that were never analyzed, of which the rows are in no sum.
    unanalyzed integer NOT NULL,
    clients bigint NOT NULL,
    -- Sums since the tenant was made.
    transactions bigint NOT NULL,
    queries bigint NOT NULL,
    errors bigint NOT NULL,
    received bigint NOT NULL,
    sent bigint NOT NULL,
    PRIMARY KEY (tenant, taken_at)
);
CREATE INDEX usage_samples_taken_at_idx ON sindico.usage_samples (taken_at);

-- The same by table, of the newest sample alone.
CREATE TABLE sindico.usage_tables (
    tenant uuid PRIMARY KEY REFERENCES sindico.tenants ON DELETE CASCADE,
    taken_at timestamptz NOT NULL,
    tables jsonb NOT NULL
);

-- Operators may change, pause or delete it. The id is older than any that síndico makes.
INSERT INTO sindico.schedules (id, name, kind, cron, time_zone, next_at)
    VALUES ('01800000-0000-7000-8000-000000000001', 'usage', 'usage', '0 * * * *', 'UTC', date_trunc('hour', now(), 'UTC') + interval '1 hour');
