//! Views.

use crate::worlds::Worlds;

#[tokio::test]
async fn views_show_a_tenant_its_own_rows_and_the_apps_columns() {
    let worlds = Worlds::build(
        "CREATE TABLE clients (id int PRIMARY KEY, name text NOT NULL, active boolean NOT NULL DEFAULT true);
         CREATE TABLE orders (id int PRIMARY KEY, client_id int REFERENCES clients, total int);
         ALTER TABLE clients ADD COLUMN boss int;
         CREATE VIEW public.active_clients AS SELECT * FROM public.clients WHERE active WITH CHECK OPTION;
         CREATE OR REPLACE VIEW totals (client, name, orders, total) WITH (security_barrier) AS
             SELECT c.id, c.name, count(o.id), sum(o.total) FROM clients c LEFT JOIN orders o ON o.client_id = c.id
             GROUP BY c.id;
         CREATE VIEW on_view AS SELECT a.*, t.total FROM active_clients a JOIN public.totals t ON t.client = a.id;
         CREATE RECURSIVE VIEW chain (id, depth) AS
             SELECT id, 0 FROM clients WHERE boss IS NULL
             UNION ALL SELECT c.id, chain.depth + 1 FROM clients c JOIN chain ON chain.id = c.boss;
         CREATE VIEW short AS SELECT id AS i FROM clients;
         ALTER VIEW short RENAME COLUMN i TO number; ALTER VIEW short RENAME TO numbers;
         ALTER VIEW active_clients ALTER COLUMN name SET DEFAULT 'nobody';
         CREATE VIEW gone AS SELECT 1 AS one; CREATE VIEW gone_too AS SELECT * FROM gone;
         DROP VIEW IF EXISTS gone CASCADE; DROP VIEW IF EXISTS never;
         CREATE VIEW gone AS TABLE orders;
         COMMENT ON VIEW totals IS 'sums'; COMMENT ON COLUMN totals.client IS 'who';
         GRANT SELECT ON totals TO nobody; ALTER VIEW totals OWNER TO nobody; ALTER TABLE public.totals OWNER TO nobody;",
        "INSERT INTO active_clients (id, name, boss) VALUES (1, 'Ana', NULL), (2, 'Bia', 1);
         INSERT INTO orders VALUES (1, 1, 10), (2, 1, 5);",
    )
    .await;
    assert_eq!(worlds.answer("SELECT * FROM active_clients ORDER BY id").await, "1|Ana|t|NULL\n2|Bia|t|1");
    assert_eq!(worlds.answer("SELECT * FROM totals ORDER BY client").await, "1|Ana|2|15\n2|Bia|0|NULL");
    assert_eq!(worlds.answer("SELECT * FROM on_view ORDER BY id").await, "1|Ana|t|NULL|15\n2|Bia|t|1|NULL");
    assert_eq!(worlds.answer("SELECT * FROM chain ORDER BY id").await, "1|0\n2|1");
    assert_eq!(worlds.answer("SELECT number FROM numbers ORDER BY 1").await, "1\n2");
    assert_eq!(worlds.answer("SELECT * FROM gone ORDER BY 1").await, "1|1|10\n2|1|5");
    assert_eq!(
        worlds.answer("INSERT INTO active_clients VALUES (3, 'x', false)").await,
        "44000 new row violates check option for view \"active_clients\""
    );
    assert_eq!(worlds.answer("INSERT INTO active_clients (id) VALUES (4) RETURNING name").await, "nobody");
    assert_eq!(worlds.answer("UPDATE active_clients SET name = 'Eva' WHERE id = 4 RETURNING id").await, "4");
    assert_eq!(worlds.stranger("SELECT count(*) FROM active_clients").await, "2");
    assert_eq!(worlds.answer("DELETE FROM active_clients WHERE id > 0 AND name = 'Eva' RETURNING id").await, "4");
    worlds.clear().await;
}
