CREATE TABLE recordings (
    id bigserial,
    stream_id bigint NOT NULL REFERENCES streams ON DELETE CASCADE,
    started_at timestamptz NOT NULL,
    ended_at timestamptz,
    object_key text NOT NULL,
    size_bytes bigint NOT NULL DEFAULT 0 CHECK (size_bytes >= 0),
    motion boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, started_at),
    CHECK (ended_at > started_at)
) PARTITION BY RANGE (started_at);

CREATE TABLE recordings_2026_10 PARTITION OF recordings
    FOR VALUES FROM ('2026-10-01 00:00+00') TO ('2026-11-01 00:00+00');
CREATE TABLE recordings_2026_11 PARTITION OF recordings
    FOR VALUES FROM ('2026-11-01 00:00+00') TO ('2026-12-01 00:00+00');
CREATE TABLE recordings_other PARTITION OF recordings DEFAULT;

CREATE INDEX recordings_by_stream ON recordings (stream_id, started_at DESC);
CREATE INDEX recordings_open ON recordings (started_at) WHERE ended_at IS NULL;

CREATE TABLE clips (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    recording_id bigint NOT NULL,
    recording_started_at timestamptz NOT NULL,
    title text NOT NULL,
    period tstzrange NOT NULL CHECK (NOT isempty(period) AND NOT lower_inf(period) AND NOT upper_inf(period)),
    sha256 bytea CHECK (octet_length(sha256) = 32),
    evidence boolean NOT NULL DEFAULT false,
    made_by uuid REFERENCES users ON DELETE SET NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (recording_id, recording_started_at) REFERENCES recordings (id, started_at) ON DELETE CASCADE
);

CREATE INDEX clips_by_recording ON clips (recording_id, recording_started_at);
CREATE INDEX clips_by_title ON clips USING gin (title gin_trgm_ops);
