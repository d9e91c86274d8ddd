# pgbench in each of its modes, with more clients than there are server connections.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/script" <<'SQL'
\set price random(1, 1000)
BEGIN;
INSERT INTO services (code, name, price) VALUES ('pb_' || :client_id, 'Tried', :price)
    ON CONFLICT (code) DO UPDATE SET price = services.price + 1;
SELECT count(*) AS services, max(price) FROM services WHERE code = 'pb_' || :client_id \gset
SELECT name FROM species WHERE id = :services;
INSERT INTO staff (name, works_as) VALUES (:client_id, 'reception');
END;
SQL
cat >"$folder/pipeline" <<'SQL'
\startpipeline
BEGIN;
SELECT name FROM species WHERE id = 1;
INSERT INTO staff (name, works_as) VALUES (:client_id, 'groomer');
END;
\endpipeline
SQL

try() { # NAME MODE FILE
    # Only what was done and what failed; not how fast. A thread for each client: pgbench waits while it prepares, and one
    # that waits for a connection would keep those from going on that have one.
    pgbench --no-vacuum --client 20 --jobs 20 --transactions 15 --protocol "$2" --file "$folder/$3" 2>&1 |
        sed -n -e "s/^number of transactions actually processed/$1, $2/p" -e '/^number of failed/p' -e '/^pgbench: error/p'
}
for mode in simple extended prepared; do
    try transactions "$mode" script
done
for mode in extended prepared; do
    try pipeline "$mode" pipeline
done
psql -XAt -c "SELECT works_as, count(*), count(DISTINCT name) FROM staff GROUP BY 1 ORDER BY 1" \
    -c "DELETE FROM staff" -c "DELETE FROM services WHERE code LIKE 'pb\\_%'"
