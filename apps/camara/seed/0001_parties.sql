INSERT INTO parties (number, acronym, name) VALUES
    (13, 'PT', 'Partido dos Trabalhadores'),
    (15, 'MDB', 'Movimento Democrático Brasileiro'),
    (22, 'PL', 'Partido Liberal'),
    (40, 'PSB', 'Partido Socialista Brasileiro'),
    (45, 'PSDB', 'Partido da Social Democracia Brasileira'),
    (55, 'PSD', 'Partido Social Democrático')
ON CONFLICT (number) DO NOTHING;

INSERT INTO bill_kinds (code, name, majority) VALUES
    ('PL', 'Projeto de Lei', 'simple'),
    ('PLC', 'Projeto de Lei Complementar', 'absolute'),
    ('PELO', 'Proposta de Emenda à Lei Orgânica', 'qualified'),
    ('PR', 'Projeto de Resolução', 'simple'),
    ('REQ', 'Requerimento', 'simple'),
    ('IND', 'Indicação', 'simple')
ON CONFLICT (code) DO NOTHING;
