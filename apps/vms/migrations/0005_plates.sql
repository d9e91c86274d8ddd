-- Brazilian plates, the old form (ABC1234) and Mercosul's (ABC1D23).
CREATE DOMAIN plate AS varchar(7) CHECK (VALUE ~ '^[A-Z]{3}[0-9][0-9A-Z][0-9]{2}$');

CREATE TABLE lpr_events (
    id bigint GENERATED ALWAYS AS IDENTITY,
    camera_id uuid NOT NULL REFERENCES cameras ON DELETE CASCADE,
    plate plate NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    confidence real NOT NULL DEFAULT 1 CHECK (confidence BETWEEN 0 AND 1),
    direction text CHECK (direction IN ('in', 'out')),
    image_key text,
    details jsonb,
    PRIMARY KEY (id, seen_at)
) PARTITION BY RANGE (seen_at);

CREATE TABLE lpr_events_2026_10 PARTITION OF lpr_events
    FOR VALUES FROM ('2026-10-01 00:00+00') TO ('2026-11-01 00:00+00');
CREATE TABLE lpr_events_2026_11 PARTITION OF lpr_events
    FOR VALUES FROM ('2026-11-01 00:00+00') TO ('2026-12-01 00:00+00');
CREATE TABLE lpr_events_other PARTITION OF lpr_events DEFAULT;

CREATE INDEX lpr_events_by_plate ON lpr_events (plate, seen_at DESC) INCLUDE (camera_id);
CREATE INDEX lpr_events_by_camera ON lpr_events (camera_id, seen_at DESC);

-- Plates that somebody looks for.
CREATE TABLE watchlist (
    plate plate PRIMARY KEY,
    reason text NOT NULL,
    severity smallint NOT NULL DEFAULT 1 CHECK (severity BETWEEN 1 AND 5),
    active boolean NOT NULL DEFAULT true,
    added_by uuid REFERENCES users ON DELETE SET NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TRIGGER watchlist_updated BEFORE UPDATE ON watchlist FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE TABLE alerts (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    plate plate NOT NULL REFERENCES watchlist ON UPDATE CASCADE ON DELETE CASCADE,
    event_id bigint NOT NULL,
    event_seen_at timestamptz NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT now(),
    acknowledged_at timestamptz,
    acknowledged_by uuid REFERENCES users ON DELETE SET NULL,
    UNIQUE (event_id, event_seen_at),
    FOREIGN KEY (event_id, event_seen_at) REFERENCES lpr_events (id, seen_at) ON DELETE CASCADE,
    CHECK ((acknowledged_at IS NULL) <= (acknowledged_by IS NULL))
);

CREATE INDEX alerts_open ON alerts (raised_at) WHERE acknowledged_at IS NULL;

-- How many plates a camera read on a day, so that the dashboard need not count.
CREATE TABLE plate_counters (
    camera_id uuid REFERENCES cameras ON DELETE CASCADE,
    day date,
    seen bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (camera_id, day)
);

CREATE FUNCTION plate_seen() RETURNS trigger
LANGUAGE plpgsql
AS $$
DECLARE
    watched watchlist%ROWTYPE;
BEGIN
    INSERT INTO plate_counters AS c (camera_id, day, seen)
    VALUES (NEW.camera_id, (NEW.seen_at AT TIME ZONE 'America/Sao_Paulo')::date, 1)
    ON CONFLICT (camera_id, day) DO UPDATE SET seen = c.seen + 1;

    SELECT * INTO watched FROM watchlist WHERE plate = NEW.plate AND active;
    IF FOUND THEN
        INSERT INTO alerts (plate, event_id, event_seen_at) VALUES (NEW.plate, NEW.id, NEW.seen_at);
        PERFORM pg_notify('lpr_match', json_build_object('plate', NEW.plate, 'severity', watched.severity)::text);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER lpr_events_seen AFTER INSERT ON lpr_events FOR EACH ROW EXECUTE FUNCTION plate_seen();
