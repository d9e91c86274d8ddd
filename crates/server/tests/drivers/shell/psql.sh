# psql: what people type, from scripts and through its own commands.
set -eu
# Errors by their code alone: where in which text, and DETAIL, are not the same everywhere (docs/gateway.md).
psql() { command psql -XAtq -v VERBOSITY=sqlstate "$@" 2>&1; }

echo "rows and errors"
psql <<'SQL'
INSERT INTO services (code, name, price) VALUES ('ps_a', 'Tried', 10.5) RETURNING code, price;
INSERT INTO services (code, name, price) VALUES ('ps_b', 'Tried', -1);
\echo :SQLSTATE :ERROR
SELECT name FROM species ORDER BY id LIMIT 2;
SELECT 1/0;
\echo :SQLSTATE
UPDATE services SET price = price * 2 WHERE code = 'ps_a';
\echo :ROW_COUNT
DELETE FROM services WHERE code LIKE 'ps\_%' RETURNING code, price;
SQL

echo "a transaction that psql keeps whole by savepoints"
psql -v ON_ERROR_ROLLBACK=on <<'SQL'
BEGIN;
INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer');
SELECT no_such_column;
INSERT INTO staff (name, works_as) VALUES ('Caio', 'reception');
COMMIT;
SELECT name FROM staff ORDER BY name;
SQL

echo "one transaction for a file, which fails"
psql -1 -v ON_ERROR_STOP=1 <<'SQL' || echo "status $?"
DELETE FROM staff;
SELECT 1/0;
SQL
psql -c "SELECT count(*) FROM staff" -c "DELETE FROM staff"

echo "copy both ways"
psql <<'SQL'
\copy staff (name, works_as) FROM pstdin
Ana	groomer
Bia	veterinarian
\.
COPY staff (name, works_as) FROM STDIN (FORMAT csv, HEADER);
name,works_as
"Caio, the third",reception
\.
\copy (SELECT name, works_as FROM staff ORDER BY name) TO pstdout CSV
COPY staff (works_as, name) TO STDOUT;
DELETE FROM staff;
SQL

echo "variables, generated statements, parts of results"
psql <<'SQL'
SELECT name AS species_name FROM species WHERE id = 1 \gset
\echo :species_name
SELECT format('SELECT %s + %s', n, n) FROM generate_series(1, 3) AS n ORDER BY n \gexec
\set FETCH_COUNT 7
SELECT generate_series(1, 20);
\unset FETCH_COUNT
SELECT 1 AS a, 2 AS b \gx
SELECT 6 * 7 \; SELECT 'two in one message';
SELECT code, price FROM services WHERE code = 'bath' \gdesc
SQL

echo "settings and what only a session has"
{ psql <<'SQL'
SET TimeZone = 'America/Sao_Paulo';
SET LOCAL statement_timeout = '1s';
SELECT timestamptz '2024-02-29 12:00Z';
BEGIN; SET LOCAL TimeZone = 'Asia/Tokyo'; SELECT timestamptz '2024-02-29 12:00Z'; COMMIT;
SELECT timestamptz '2024-02-29 12:00Z';
CREATE TEMP TABLE kept AS SELECT generate_series(1, 3) AS n;
PREPARE plus(int) AS SELECT sum(n) + $1 FROM kept;
EXECUTE plus(36);
DECLARE held CURSOR WITH HOLD FOR SELECT n FROM kept ORDER BY n DESC;
FETCH 2 FROM held;
CLOSE held;
LISTEN pets;
NOTIFY pets, 'barks';
DISCARD ALL;
SELECT count(*) FROM pg_listening_channels();
EXECUTE plus(1);
SQL
} | sed 's/ PID [0-9]*/ some PID/'

echo "encodings"
PGCLIENTENCODING=UTF8 psql -c "SELECT 'ação', length('ação')"
