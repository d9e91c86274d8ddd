INSERT INTO chamber (name, city, state, seats) VALUES ('Câmara Municipal de Exemplo', 'Exemplo', 'MG', 9);

INSERT INTO legislatures (number, starts_on, ends_on) VALUES
    (19, '2021-01-01', '2024-12-31'),
    (20, '2025-01-01', '2028-12-31');

INSERT INTO councillors (slug, full_name, called, party_number, email, phones) VALUES
    ('ana-beatriz', 'Ana Beatriz Nogueira', 'Ana Beatriz', 13, 'ana@camara.exemplo.mg.leg.br', '{"(31) 3333-0001"}'),
    ('bento-faria', 'Bento Faria Lopes', 'Bento Faria', 15, 'bento@camara.exemplo.mg.leg.br', '{}'),
    ('celia-rocha', 'Célia Maria Rocha', 'Célia Rocha', 40, 'celia@camara.exemplo.mg.leg.br', '{}'),
    ('dario-pinto', 'Dário Pinto', 'Dário do Povo', 22, NULL, '{"(31) 3333-0004","(31) 99999-0004"}'),
    ('elza-motta', 'Elza Motta Freitas', 'Elza Motta', 55, 'elza@camara.exemplo.mg.leg.br', '{}');

INSERT INTO mandates (councillor_id, legislature_id, kind, votes_received, period)
SELECT c.id, l.id, 'titular', 900 + 100 * row_number() OVER (ORDER BY c.slug), daterange(l.starts_on, l.ends_on, '[]')
FROM councillors c CROSS JOIN legislatures l
WHERE l.number = 20;

INSERT INTO committees (acronym, name) VALUES
    ('CCJ', 'Constituição, Justiça e Redação'), ('CFO', 'Finanças e Orçamento');

INSERT INTO committee_members (committee_id, councillor_id, office, since)
SELECT k.id, c.id, CASE c.slug WHEN 'ana-beatriz' THEN 'presidente' ELSE 'membro' END, '2025-02-03'
FROM committees k CROSS JOIN councillors c
WHERE k.acronym = 'CCJ' AND c.slug IN ('ana-beatriz', 'bento-faria', 'celia-rocha');

INSERT INTO sessions (legislature_id, kind, number, starts_at, ended_at)
SELECT id, 'ordinaria', 1, '2026-02-03 18:00-03', '2026-02-03 20:40-03' FROM legislatures WHERE number = 20;

INSERT INTO attendance (session_id, councillor_id) SELECT s.id, c.id FROM sessions s CROSS JOIN councillors c;

INSERT INTO bills (kind, year, summary, author_id, filed_at)
SELECT bill.kind, 2026, bill.summary, c.id, '2026-02-02 10:00-03'
FROM (VALUES
    (1, 'PL', 'Institui a Semana Municipal da Leitura', 'ana-beatriz'),
    (2, 'PL', 'Dispõe sobre hortas comunitárias em terrenos públicos', 'celia-rocha'),
    (3, 'REQ', 'Requer informações sobre a merenda escolar', 'dario-pinto')
) AS bill (turn, kind, summary, author)
JOIN councillors c ON c.slug = bill.author
ORDER BY bill.turn;

INSERT INTO ballots (session_id, bill_id)
SELECT s.id, b.id FROM sessions s CROSS JOIN bills b WHERE b.title = 'PL 1/2026';

INSERT INTO votes (ballot_id, councillor_id, choice)
SELECT b.id, c.id, CASE c.slug WHEN 'dario-pinto' THEN 'nao' ELSE 'sim' END::choice
FROM ballots b CROSS JOIN councillors c;

UPDATE ballots SET closed_at = '2026-02-03 19:30-03', passed = true;
UPDATE bills SET status = 'aprovada' WHERE id IN (SELECT bill_id FROM ballots);

INSERT INTO news (slug, title, body, tags, bill_id, published_at)
SELECT 'semana-da-leitura', 'Câmara aprova a Semana Municipal da Leitura',
       'Por quatro votos a um, os vereadores aprovaram o projeto que leva escritores às escolas.',
       ARRAY['educação', 'plenário'], b.id, '2026-02-04 09:00-03'
FROM bills b WHERE b.title = 'PL 1/2026';
