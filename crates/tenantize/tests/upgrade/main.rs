//! What a migration becomes on tables that are there.

#![expect(clippy::expect_used, reason = "clippy.toml spares test functions, not what they call")]

use domain::{AppName, SharedNames, TenantId};
use tenantize::{Impact, Refusals, Run, Runner, Sources, SqlFile, Upgrade};

const BASE: &str = "
    -- sindico: global
    CREATE TABLE kinds (id int PRIMARY KEY);
    CREATE TYPE mood AS ENUM ('calm');
    CREATE TABLE pets (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, kind int REFERENCES kinds, mood mood);
    CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO pets SELECT NEW.*; RETURN NEW; END $$;
    CREATE TRIGGER louder AFTER DELETE ON pets FOR EACH ROW EXECUTE FUNCTION loud();";

const FILE: &str = "migrations/0002_more.sql";

fn upgrade(sql: &str) -> Result<Upgrade, Refusals> {
    let file = |name: &str, text: &str| SqlFile { name: name.to_owned(), text: text.to_owned() };
    let migrations = vec![file("migrations/0001_base.sql", BASE), file(FILE, sql)];
    tenantize::upgrade(&Sources { migrations, seed: Vec::new() }, 1)
}

fn names() -> SharedNames {
    "shop".parse::<AppName>().expect("a name").names()
}

fn tenant() -> TenantId {
    "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id")
}

fn texts(runs: &[Run], by: Runner) -> Vec<&str> {
    let of = runs.iter().filter(|run| run.by == by);
    of.flat_map(|run| run.statements.iter().map(|statement| statement.sql.as_str())).collect()
}

/// Who runs, in order.
fn order(runs: &[Run]) -> Vec<Runner> {
    runs.iter().map(|run| run.by).collect()
}

#[test]
fn rows_are_written_where_they_stand() {
    let sql = "ALTER TABLE pets ADD COLUMN age int; UPDATE pets SET age = 1; ALTER TABLE pets ALTER age SET NOT NULL;";
    let upgrade = upgrade(sql).expect("understood");
    assert_eq!(upgrade.files(), [FILE]);
    assert!(!upgrade.is_rows_alone(FILE) && !upgrade.is_global(FILE));
    for runs in
        [upgrade.shared(FILE, &names()), upgrade.own_schema(FILE, tenant()), upgrade.own_database(FILE, &names())]
    {
        assert_eq!(order(&runs), [Runner::Owner, Runner::Tenant, Runner::Owner]);
        assert_eq!(texts(&runs, Runner::Tenant), ["UPDATE pets SET age = 1"]);
    }
}

#[test]
fn rows_alone_are_each_tenants_own_affair() {
    let upgrade =
        upgrade("UPDATE pets SET name = 'x'; INSERT INTO pets (name) VALUES ('y') ON CONFLICT (name) DO NOTHING")
            .expect("understood");
    assert!(upgrade.is_rows_alone(FILE));
    let shared = upgrade.shared(FILE, &names());
    assert!(texts(&shared, Runner::Tenant)[1].contains("ON CONFLICT (tenant_id, name)"), "{shared:?}");
    assert!(!self::upgrade("INSERT INTO kinds VALUES (1)").expect("understood").is_rows_alone(FILE));
}

#[test]
fn what_a_new_column_computes_is_computed_tenant_by_tenant() {
    let sql =
        "ALTER TABLE pets ADD COLUMN number bigserial, ADD COLUMN since timestamptz NOT NULL DEFAULT clock_timestamp(),
               ADD COLUMN tier text NOT NULL DEFAULT 'plain'";
    let upgrade = upgrade(sql).expect("understood");
    let shared = upgrade.shared(FILE, &names());
    let filled = texts(&shared, Runner::Filler);
    assert_eq!(filled, [r#"UPDATE "pets" SET "number" = DEFAULT, "since" = DEFAULT"#]);
    let owner = texts(&shared, Runner::Owner);
    let added = owner.iter().find(|sql| sql.contains("ADD COLUMN number")).expect("added");
    assert!(
        !added.contains("number bigint NOT NULL") && added.contains("tier text NOT NULL DEFAULT 'plain'"),
        "{added}"
    );
    let settled = owner.iter().find(|sql| sql.contains("SET NOT NULL")).expect("settled");
    assert!(settled.contains("number SET NOT NULL") && settled.contains("since SET NOT NULL"), "{settled}");
    // Numbers come from the tenant's own sequence, which is there before.
    assert_eq!(texts(&shared, Runner::Definer).len(), 1);
    let place = |by| shared.iter().position(|run| run.by == by).expect("it runs");
    assert!(place(Runner::Definer) < place(Runner::Filler));
    assert_eq!(order(&upgrade.own_schema(FILE, tenant())), [Runner::Owner], "PostgreSQL does it there");
    // A table that the migration makes has no rows.
    let new = self::upgrade("CREATE TABLE toys (a int); ALTER TABLE toys ADD COLUMN n bigserial").expect("understood");
    assert_eq!(texts(&new.shared(FILE, &names()), Runner::Filler), Vec::<&str>::new());
}

#[test]
fn values_are_added_to_types_that_are_there() {
    let upgrade = upgrade("ALTER TYPE mood ADD VALUE 'wild' AFTER 'calm'").expect("understood");
    assert_eq!(
        texts(&upgrade.own_schema(FILE, tenant()), Runner::Owner),
        ["ALTER TYPE mood ADD VALUE IF NOT EXISTS 'wild' AFTER 'calm'"]
    );
}

#[test]
fn what_is_global_is_apart_and_stays() {
    let upgrade = upgrade(
        "ALTER TABLE kinds ADD COLUMN latin text; INSERT INTO kinds VALUES (9); ALTER TABLE pets ADD COLUMN a int",
    )
    .expect("understood");
    assert!(upgrade.is_global(FILE));
    let global = upgrade.global(FILE, &names());
    assert!(global.iter().all(|statement| statement.sql.contains("kinds")), "{global:?}");
    assert_eq!(global.len(), 2);
    let own = upgrade.own_schema(FILE, tenant());
    assert!(own.iter().all(|run| run.statements.iter().all(|statement| !statement.sql.contains("kinds"))), "{own:?}");
    assert!(texts(&upgrade.own_database(FILE, &names()), Runner::Owner).len() >= 3);
    let refused = self::upgrade("DROP TABLE kinds CASCADE").expect_err("tenants refer to it").to_string();
    assert!(refused.contains("0002_more.sql:1") && refused.contains("global"), "{refused}");
}

#[test]
fn routines_follow_the_tables_that_they_name() {
    let upgrade = upgrade("ALTER TABLE pets ADD COLUMN a int").expect("understood");
    let shared = upgrade.shared(FILE, &names());
    let again =
        texts(&shared, Runner::Owner).into_iter().find(|sql| sql.contains("FUNCTION loud()")).expect("made anew");
    assert!(again.starts_with("CREATE OR REPLACE FUNCTION"), "{again}");
    let gone = self::upgrade("DROP TRIGGER louder ON pets; DROP FUNCTION loud(); ALTER TABLE pets ADD COLUMN a int")
        .expect("understood");
    let made = gone.shared(FILE, &names());
    assert!(!texts(&made, Runner::Owner).iter().any(|sql| sql.contains("CREATE OR REPLACE FUNCTION loud")), "{made:?}");
}

#[test]
fn an_identity_for_rows_that_are_there_is_refused() {
    let refused =
        upgrade("ALTER TABLE pets ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY").expect_err("refused").to_string();
    assert!(refused.contains("bigserial"), "{refused}");
    let refused = upgrade(
        "CREATE TABLE a (x int); ALTER TABLE pets DROP CONSTRAINT pets_pkey, ADD COLUMN n bigserial PRIMARY KEY",
    )
    .expect_err("refused")
    .to_string();
    assert!(refused.contains("primary key"), "{refused}");
}

#[test]
fn locks_are_told_once_for_tables_that_are_there() {
    let sql = "ALTER TABLE pets ADD COLUMN a int; ALTER TABLE pets ADD COLUMN b int; CREATE INDEX ON pets (a);
               CREATE TABLE toys (id int PRIMARY KEY, pet bigint REFERENCES pets); CREATE INDEX ON toys (pet);
               ALTER TABLE pets ADD CHECK (a > 0) NOT VALID; ALTER TABLE pets ALTER name TYPE varchar(80);";
    let upgrade = upgrade(sql).expect("understood");
    let impacts = Impact::of(&upgrade.own_schema(FILE, tenant()));
    let told: Vec<_> = impacts.iter().map(|it| (it.table.as_str(), it.lock, it.lasts.is_some(), it.line)).collect();
    assert_eq!(
        told,
        [
            ("pets", "ACCESS EXCLUSIVE", false, 1),
            ("pets", "SHARE", true, 1),
            ("pets", "SHARE ROW EXCLUSIVE", false, 2),
            ("pets", "ACCESS EXCLUSIVE", true, 3),
        ]
    );
}
