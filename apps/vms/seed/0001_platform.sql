INSERT INTO plans (code, name, retention_days, max_cameras) VALUES
    ('basic', 'Básico', 7, 50),
    ('standard', 'Padrão', 15, 200),
    ('full', 'Completo', 30, 1000)
ON CONFLICT (code) DO UPDATE SET name = excluded.name;

INSERT INTO camera_models (id, manufacturer, model, megapixels, reads_plates) VALUES
    (1, 'Intelbras', 'VIP 3230', 2.0, false),
    (2, 'Intelbras', 'VIP 7225 LPR', 2.0, true),
    (3, 'Hikvision', 'DS-2CD2143', 4.0, false),
    (4, 'Axis', 'P1465-LE', 2.1, true)
ON CONFLICT (id) DO NOTHING;
