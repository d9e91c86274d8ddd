-- The wall of the control room: each camera with its streams and open alerts.
CREATE VIEW camera_overview AS
SELECT c.id, c.code, c.label, c.status, m.manufacturer || ' ' || m.model AS model,
       count(DISTINCT s.id) AS streams,
       count(DISTINCT a.id) FILTER (WHERE a.acknowledged_at IS NULL) AS open_alerts
FROM cameras c
LEFT JOIN camera_models m ON m.id = c.model_id
LEFT JOIN streams s ON s.camera_id = c.id AND s.active
LEFT JOIN lpr_events e ON e.camera_id = c.id
LEFT JOIN alerts a ON a.event_id = e.id AND a.event_seen_at = e.seen_at
GROUP BY c.id, m.id;

-- What operators edit; a camera that was retired is out of their sight.
CREATE VIEW cameras_in_service AS
SELECT id, code, name, status, district, tags FROM cameras WHERE status <> 'retired'
WITH CHECK OPTION;

CREATE VIEW open_alerts AS
SELECT a.*, w.reason, w.severity, c.code AS camera
FROM alerts a
JOIN watchlist w USING (plate)
JOIN lpr_events e ON e.id = a.event_id AND e.seen_at = a.event_seen_at
JOIN cameras c ON c.id = e.camera_id
WHERE a.acknowledged_at IS NULL;

CREATE FUNCTION retention_days() RETURNS integer
LANGUAGE sql STABLE
AS $$ SELECT p.retention_days FROM city JOIN plans p ON p.code = city.plan_code $$;

-- What the retention of the plan has outlived. Clips that are evidence keep their recordings.
CREATE FUNCTION expire(as_of timestamptz DEFAULT now()) RETURNS bigint
LANGUAGE plpgsql
AS $$
DECLARE
    oldest CONSTANT timestamptz := as_of - make_interval(days => retention_days());
    gone bigint;
    gone_events bigint;
BEGIN
    DELETE FROM recordings r
    WHERE r.started_at < oldest
      AND NOT EXISTS (
          SELECT FROM clips c
          WHERE c.recording_id = r.id AND c.recording_started_at = r.started_at AND c.evidence
      );
    GET DIAGNOSTICS gone = ROW_COUNT;
    DELETE FROM lpr_events WHERE seen_at < oldest;
    GET DIAGNOSTICS gone_events = ROW_COUNT;
    RETURN gone + gone_events;
END
$$;

CREATE FUNCTION watch(wanted plate, why text, how_bad smallint DEFAULT 1::smallint) RETURNS watchlist
LANGUAGE sql
AS $$
    INSERT INTO watchlist (plate, reason, severity) VALUES (wanted, why, how_bad)
    ON CONFLICT (plate) DO UPDATE
        SET reason = excluded.reason, severity = greatest(watchlist.severity, excluded.severity), active = true
    RETURNING *
$$;

CREATE FUNCTION timeline(of_camera uuid, during tstzrange)
RETURNS TABLE (happened_at timestamptz, what text, about text)
LANGUAGE sql STABLE
AS $$
    SELECT r.started_at, 'recording', r.object_key
    FROM recordings r JOIN streams s ON s.id = r.stream_id
    WHERE s.camera_id = of_camera AND r.started_at <@ during
    UNION ALL
    SELECT e.seen_at, 'plate', e.plate FROM lpr_events e WHERE e.camera_id = of_camera AND e.seen_at <@ during
    ORDER BY 1, 2, 3
$$;

CREATE PROCEDURE acknowledge(alert bigint, by_user uuid)
LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE alerts SET acknowledged_at = now(), acknowledged_by = by_user WHERE id = alert AND acknowledged_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'alert % is not open', alert USING ERRCODE = 'P0002', HINT = 'Look at open_alerts.';
    END IF;
END
$$;
