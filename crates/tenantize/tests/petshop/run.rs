//! PostgreSQL runs what the plan says, and what it builds is what the app meant.

use domain::{Access, Role, quote_ident};
use tenantize::{Plan, Sources, SqlFile};
use tokio_postgres::Client;

use crate::bench::{Bench, plan_of, run, run_as_written};
use crate::{app, catalog};

async fn number(client: &Client, sql: &str) -> i64 {
    client.query_one(sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
}

/// The names that PostgreSQL gives in a plain database are those that shared tables have.
async fn same_catalog(bench: &mut Bench, sources: &Sources, label: &str) -> (Plan, Client) {
    let plan = plan_of(sources);
    let as_written = bench.database(&format!("{label}_plain")).await;
    run_as_written(&as_written, &sources.migrations).await;
    let shared = bench.database(label).await;
    run(&shared, &plan.shared_ddl(&bench.names)).await;
    let own = bench.database(&format!("{label}_own")).await;
    run(&own, &plan.own_database_ddl(&bench.names)).await;

    let expected = catalog::describe(&as_written, &["public"]).await;
    assert!(expected.len() > 10, "{expected:?}");
    assert_eq!(catalog::describe(&shared, &["public", "global"]).await, expected);
    assert_eq!(catalog::describe(&own, &["public", "global"]).await, expected);
    assert_eq!(catalog::unprotected(&shared).await, Vec::<String>::new());
    (plan, shared)
}

#[tokio::test]
async fn tenants_share_tables_and_see_their_own_rows() {
    let mut bench = Bench::new().await;
    let (plan, shared) = same_catalog(&mut bench, &app::petshop(), "shop").await;
    run(&shared, &plan.global_seed()).await;
    let (rw, ro) = (bench.names.shared_rw.clone(), bench.names.shared_ro.clone());
    let first = bench.tenant(&rw, &ro).await;
    let second = bench.tenant(&rw, &ro).await;
    for tenant in [first, second] {
        bench.sequences(&shared, tenant, &plan).await;
        let client = bench.login("shop", tenant, Access::ReadWrite).await;
        run(&client, &plan.shared_tenant_seed()).await;
        // A second time: what the seed guards with ON CONFLICT stays as it is.
        run(&client, &plan.shared_tenant_seed()[..1]).await;
    }
    assert_eq!(number(&shared, "SELECT count(*) FROM services").await, 0, "the owner is under row-level security");
    shared.batch_execute("RESET ROLE").await.expect("a superuser again");
    assert_eq!(number(&shared, "SELECT count(*) FROM services").await, 10, "a superuser is not");

    for access in [Access::ReadWrite, Access::ReadOnly] {
        let client = bench.login("shop", first, access).await;
        assert_eq!(number(&client, "SELECT count(*) FROM services").await, 5);
        assert_eq!(
            number(&client, "SELECT count(*) FROM appointments JOIN animals ON animals.id = animal_id").await,
            1
        );
        assert_eq!(number(&client, "SELECT count(DISTINCT tenant_id) FROM clients").await, 1);
        assert_eq!(number(&client, "SELECT count(*) FROM breeds").await, 11);
        assert_eq!(number(&client, "SELECT id::bigint FROM breeds WHERE name = 'Canary'").await, 11);
    }
    let client = bench.login("shop", first, Access::ReadWrite).await;
    for (refused, why) in [
        ("INSERT INTO breeds (species_id, name) VALUES (1, 'x')", "permission denied"),
        ("SELECT setval('public.sindico_carrier_clients_id_seq', 1)", "permission denied"),
        ("SELECT last_value FROM public.sindico_carrier_clients_id_seq", "permission denied"),
        ("INSERT INTO clients (id, name, email) VALUES (7, 'x', 'x@example.com')", "cannot insert a non-DEFAULT value"),
        ("TRUNCATE clients", "permission denied"),
        ("UPDATE clients SET tenant_id = gen_random_uuid()", "row-level security"),
        ("INSERT INTO clients (name, email) VALUES ('x', 'ANA.SOUZA@example.com')", "clients_lower_idx"),
    ] {
        let error = client.batch_execute(refused).await.expect_err(refused);
        let message = error.as_db_error().map_or_else(|| error.to_string(), |error| error.message().to_owned());
        assert!(message.contains(why), "{refused}: {message}");
    }

    // A child of another tenant's parent: the row is there, and for this tenant it is not.
    let other = bench.login("shop", second, Access::ReadWrite).await;
    other.batch_execute("INSERT INTO clients (name, phone) VALUES ('One more', '555 0100')").await.expect("a client");
    assert_eq!(number(&other, "SELECT lastval()").await, number(&client, "SELECT max(id) + 1 FROM clients").await);
    drop(other);
    let theirs = format!("SELECT max(id) FROM clients WHERE tenant_id = '{second}'");
    let theirs = number(&shared, &theirs).await;
    let sql = format!("INSERT INTO animals (client_id, species_id, name) VALUES ({theirs}, 1, 'Spy')");
    let error = client.batch_execute(&sql).await.expect_err("another tenant's client");
    assert_eq!(error.as_db_error().and_then(|error| error.constraint()), Some("animals_client_id_fkey"));

    // SET NULL leaves tenant_id alone.
    client
        .batch_execute(
            "INSERT INTO staff (name, works_as) VALUES ('Bia', 'groomer');
             UPDATE appointments SET staff_id = (SELECT id FROM staff);
             DELETE FROM staff;",
        )
        .await
        .expect("a deleted member of staff");
    assert_eq!(number(&client, "SELECT count(*) FROM appointments WHERE staff_id IS NULL").await, 1);
    drop((client, shared));
    bench.clear().await;
}

#[tokio::test]
async fn a_tenant_may_have_a_schema_or_a_database() {
    let mut bench = Bench::new().await;
    let plan = plan_of(&app::petshop());
    let database = bench.database("db").await;
    run(&database, &plan.shared_ddl(&bench.names)).await;
    run(&database, &plan.global_seed()).await;
    let (rw, ro) = (bench.names.own_rw.clone(), bench.names.own_ro.clone());
    let tenant = bench.tenant(&rw, &ro).await;
    let schema = quote_ident(&format!("t_{}", tenant.hex()));
    let role = quote_ident(&Role::new(tenant, Access::ReadWrite).to_string());
    let owner = quote_ident(&bench.names.owner);
    let setup = format!(
        "RESET ROLE; CREATE SCHEMA {schema} AUTHORIZATION {owner}; GRANT USAGE ON SCHEMA {schema} TO {role};
         SET ROLE {owner}; SET search_path = {schema}, global"
    );
    database.batch_execute(&setup).await.expect("a schema");
    run(&database, &plan.own_schema_ddl(tenant)).await;

    let client = bench.login("db", tenant, Access::ReadWrite).await;
    client.batch_execute(&format!("SET search_path = {schema}, global")).await.expect("search_path");
    run(&client, &plan.own_tenant_seed()).await;
    assert_eq!(number(&client, "SELECT count(*) FROM appointments").await, 1);
    drop((client, database));
    bench.clear().await;
}

/// PostgreSQL compares a new foreign key with the rows that the table's owner sees.
#[tokio::test]
async fn a_foreign_key_added_later_is_held_against_every_tenants_rows() {
    let mut bench = Bench::new().await;
    let file = |name: &str, text: &str| SqlFile { name: name.to_owned(), text: text.to_owned() };
    let tables = "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int);";
    let plan = plan_of(&Sources {
        migrations: vec![file("1.sql", tables), file("2.sql", "ALTER TABLE c ADD FOREIGN KEY (p) REFERENCES p;")],
        seed: vec![file("3.sql", "INSERT INTO c (p) VALUES (1);")],
    });
    let shared = bench.database("fk").await;
    let ddl = plan.shared_ddl(&bench.names);
    let (first, second): (Vec<_>, Vec<_>) = ddl.into_iter().partition(|statement| statement.file == "1.sql");
    run(&shared, &first).await;
    let (rw, ro) = (bench.names.shared_rw.clone(), bench.names.shared_ro.clone());
    let tenant = bench.tenant(&rw, &ro).await;
    let client = bench.login("fk", tenant, Access::ReadWrite).await;
    run(&client, &plan.shared_tenant_seed()).await;

    let script: Vec<&str> = second.iter().map(|statement| statement.sql.as_str()).collect();
    let error = shared.batch_execute(&script.join("; ")).await.expect_err("a child without a parent");
    assert_eq!(error.as_db_error().and_then(|error| error.constraint()), Some("c_p_fkey"));
    client.batch_execute("INSERT INTO p VALUES (1)").await.expect("the parent");
    shared.batch_execute(&script.join("; ")).await.expect("a child with a parent");
    assert_eq!(catalog::unprotected(&shared).await, Vec::<String>::new(), "FORCE is back");
    drop((client, shared));
    bench.clear().await;
}

#[tokio::test]
async fn names_are_those_of_a_plain_database() {
    let long = "a_table_whose_name_is_quite_a_bit_longer_than_most_people_like";
    let text = format!(
        "CREATE TABLE p (a int, b text, c int UNIQUE, PRIMARY KEY (a, b), UNIQUE (b, a) INCLUDE (c),
             UNIQUE (c), CONSTRAINT named UNIQUE (b), CHECK (a > c), CHECK (a > 1), CHECK (a > 2), CHECK (1 > 0));
         CREATE TABLE {long} (
             id bigserial PRIMARY KEY,
             the_reference_to_the_other_table int,
             the_second_part_of_that_reference text UNIQUE DEFERRABLE INITIALLY DEFERRED,
             other int REFERENCES p (c) MATCH FULL ON UPDATE CASCADE DEFERRABLE,
             total int GENERATED ALWAYS AS (other + 1) STORED,
             \"Mixed Case\" text COLLATE \"C\" NOT NULL DEFAULT 'it''s',
             FOREIGN KEY (the_reference_to_the_other_table, the_second_part_of_that_reference) REFERENCES p
                 ON DELETE SET NULL);
         CREATE TABLE loose (a int, b text, t timestamptz, d double precision[], i interval, j jsonb);
         CREATE INDEX ON loose (a);
         CREATE INDEX ON loose (a);
         CREATE INDEX ON loose (lower(b), upper(b), (a + 1), (a * 2), (b::varchar(10)), (coalesce(a, 0)), (b));
         CREATE UNIQUE INDEX ON loose (a DESC NULLS LAST, b COLLATE \"C\" text_pattern_ops) INCLUDE (i)
             NULLS NOT DISTINCT WHERE a > 0 AND b LIKE 'x%';
         CREATE INDEX ON loose USING gin (j jsonb_path_ops);
         CREATE INDEX ON loose ((CASE WHEN a > 0 THEN b END), (greatest(a, 1)), (j -> 'x'), (nullif(a, 0)), (d[1]));
         CREATE TABLE notes (body text);
         ALTER TABLE loose ADD COLUMN n int UNIQUE CHECK (n > 0) REFERENCES p (c), ADD CHECK (n < 10), ADD UNIQUE (b);
         ALTER TABLE loose ADD COLUMN serial_too serial, ADD PRIMARY KEY (serial_too);
         ALTER TABLE public.loose ALTER COLUMN a TYPE bigint USING a + 1, ALTER b SET DEFAULT 'x', ALTER b SET NOT NULL;
         ALTER TABLE loose DROP CONSTRAINT loose_b_key;
         ALTER TABLE loose RENAME COLUMN b TO renamed;
         CREATE INDEX ON loose (renamed);
         ALTER TABLE notes RENAME TO remarks;
         CREATE TABLE notes (id int GENERATED BY DEFAULT AS IDENTITY (CACHE 5) PRIMARY KEY,
             p int REFERENCES notes);
         DROP INDEX loose_a_idx1;
         COMMENT ON CONSTRAINT p_pkey ON p IS 'key';
         COMMENT ON INDEX loose_a_idx IS 'index';
         ALTER TABLE loose DROP COLUMN i RESTRICT;"
    );
    // DROP COLUMN of a column that an index includes is refused, so the index goes first.
    let text = text.replace("ALTER TABLE loose DROP COLUMN i", "DROP INDEX loose_a_b_i_idx; ALTER TABLE loose DROP i");
    let sources = Sources { migrations: vec![SqlFile { name: "migrations/1.sql".to_owned(), text }], seed: Vec::new() };
    let mut bench = Bench::new().await;
    let (_, client) = same_catalog(&mut bench, &sources, "names").await;
    drop(client);
    bench.clear().await;
}
