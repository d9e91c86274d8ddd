-- Release 2: cameras belong to zones; recordings tell their codec.

CREATE TABLE zones (
    id serial PRIMARY KEY,
    name text NOT NULL,
    parent_id integer REFERENCES zones ON DELETE CASCADE,
    UNIQUE NULLS NOT DISTINCT (parent_id, name)
);

ALTER TABLE cameras ADD COLUMN zone_id integer REFERENCES zones ON DELETE SET NULL;
ALTER TABLE cameras ADD COLUMN notes text NOT NULL DEFAULT '';
CREATE INDEX ON cameras (zone_id);

ALTER TABLE streams ADD COLUMN codec text NOT NULL DEFAULT 'h264' CHECK (codec IN ('h264', 'h265', 'av1'));
ALTER TABLE streams RENAME COLUMN fps TO frames_per_second;
ALTER TABLE recordings ADD COLUMN codec text NOT NULL DEFAULT 'h264';
ALTER TABLE maintenance_windows ALTER COLUMN notes SET DEFAULT '';
ALTER TABLE alerts ADD CONSTRAINT alerts_in_order CHECK (acknowledged_at >= raised_at);

ALTER TYPE camera_status ADD VALUE 'tampered' AFTER 'offline';

CREATE TABLE recordings_2026_12 PARTITION OF recordings
    FOR VALUES FROM ('2026-12-01 00:00+00') TO ('2027-01-01 00:00+00');
CREATE TABLE lpr_events_2026_12 PARTITION OF lpr_events
    FOR VALUES FROM ('2026-12-01 00:00+00') TO ('2027-01-01 00:00+00');

COMMENT ON COLUMN zones.parent_id IS 'The zone that this one is a part of';
