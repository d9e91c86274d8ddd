-- What a city hall finds when it logs in for the first time.

INSERT INTO city (name, state, cnpj, plan_code, settings)
VALUES ('Prefeitura de Exemplo', 'MG', '11222333000181', 'standard', '{"language": "pt-BR", "wall": {"columns": 4}}');

INSERT INTO users (email, name, role, permissions) VALUES
    ('gestora@exemplo.mg.gov.br', 'Helena Prado', 'manager', '{cameras,users,evidence}'),
    ('operador1@exemplo.mg.gov.br', 'Caio Ramos', 'viewer', '{cameras}'),
    ('operador2@exemplo.mg.gov.br', 'Lia Duarte', 'viewer', '{cameras,evidence}');

INSERT INTO zones (name) VALUES ('Centro'), ('Zona Norte');
INSERT INTO zones (name, parent_id) SELECT 'Praça da Matriz', id FROM zones WHERE name = 'Centro';

INSERT INTO cameras (name, model_id, status, district, latitude, longitude, tags, config, zone_id)
SELECT camera.name, camera.model_id, camera.status::camera_status, camera.district, camera.latitude, camera.longitude,
       camera.tags, camera.config, zones.id
FROM (VALUES
    ('Praça da Matriz', 3, 'online', 'Centro', -19.920800, -43.937800, ARRAY['praça', 'ptz'], '{"ir": true}'::jsonb,
     'Praça da Matriz'),
    ('Entrada norte', 2, 'online', 'Vila Nova', -19.851000, -43.950500, ARRAY['lpr'], '{"lanes": 2}', 'Zona Norte'),
    ('Escola Tiradentes', 1, 'offline', 'Centro', NULL, NULL, ARRAY['escola'], '{}', 'Centro')
) AS camera (name, model_id, status, district, latitude, longitude, tags, config, zone)
JOIN zones ON zones.name = camera.zone
ORDER BY camera.name;

INSERT INTO streams (camera_id, profile, protocol, url)
SELECT id, 'main', 'rtsp', 'rtsp://cameras.invalid/' || lower(code) FROM cameras ORDER BY code;
INSERT INTO streams (camera_id, profile, protocol, url, width, height)
SELECT id, 'sub', 'hls', 'https://cameras.invalid/' || lower(code), 640, 360 FROM cameras WHERE status = 'online' ORDER BY code;

INSERT INTO recordings (stream_id, started_at, ended_at, object_key, size_bytes)
SELECT s.id, hour, hour + interval '1 hour', c.code || to_char(hour AT TIME ZONE 'UTC', '/YYYY/MM/DD/HH24'), 900000000
FROM streams s
JOIN cameras c ON c.id = s.camera_id
CROSS JOIN generate_series(timestamptz '2026-10-31 22:00+00', timestamptz '2026-11-01 01:00+00', interval '1 hour') hour
WHERE s.profile = 'main' AND c.status = 'online'
ORDER BY c.code, hour;

INSERT INTO clips (recording_id, recording_started_at, title, period, evidence, made_by)
SELECT r.id, r.started_at, 'Acidente na praça', tstzrange(r.started_at, r.started_at + interval '5 minutes'), true, u.id
FROM recordings r, users u
WHERE r.object_key = 'CAM-0003/2026/10/31/23' AND u.email = 'operador2@exemplo.mg.gov.br';

INSERT INTO watchlist (plate, reason, severity) VALUES ('BRA2E19', 'Veículo furtado', 4);
INSERT INTO lpr_events (camera_id, plate, seen_at, confidence, direction)
SELECT c.id, read.plate, read.seen_at, read.confidence, read.direction
FROM cameras c
CROSS JOIN (VALUES
    ('ABC1234', timestamptz '2026-10-31 23:59:30+00', 0.91, 'in'),
    ('BRA2E19', timestamptz '2026-11-01 00:00:05+00', 0.98, 'in'),
    ('BRA2E19', timestamptz '2026-11-03 12:30:00+00', 0.95, 'out')
) AS read (plate, seen_at, confidence, direction)
WHERE c.name = 'Entrada norte'
ORDER BY read.seen_at;

INSERT INTO maintenance_windows (camera_id, period, technician)
SELECT id, tstzrange('2026-11-25 11:00+00', '2026-11-25 13:00+00'), 'Equipe A' FROM cameras WHERE name = 'Escola Tiradentes';
