//! Snapshots of the plan.

use std::fmt::Write as _;

use tenantize::{Plan, Statement};

use crate::app;

fn script(statements: &[Statement]) -> String {
    let mut out = String::new();
    for Statement { file, line, sql } in statements {
        writeln!(out, "-- {file}:{line}\n{sql};").expect("a string takes every text");
    }
    out
}

fn petshop() -> Plan {
    tenantize::plan(&app::petshop()).unwrap_or_else(|refusals| panic!("{refusals}"))
}

#[test]
fn manifest() {
    let text = std::fs::read_to_string(app::directory().join("app.toml")).expect("app.toml");
    let manifest = tenantize::Manifest::parse(&text).expect("a manifest");
    assert_eq!(manifest.name.as_str(), "petshop");
}

#[test]
fn shared_ddl() {
    let names = "petshop".parse::<domain::AppName>().expect("a name").names();
    insta::assert_snapshot!(script(&petshop().shared_ddl(&names)));
}

#[test]
fn own_schema_ddl() {
    let tenant = "0192f0c1-2345-7abc-8def-0123456789ab".parse().expect("an id");
    insta::assert_snapshot!(script(&petshop().own_schema_ddl(tenant)));
}

#[test]
fn own_database_ddl_has_the_global_tables_too() {
    let names = "petshop".parse::<domain::AppName>().expect("a name").names();
    let script = script(&petshop().own_database_ddl(&names));
    assert!(script.contains("CREATE TABLE global.species"), "{script}");
    assert!(script.contains("GRANT SELECT ON TABLE \"clients\" TO \"app_petshop_own_ro\""), "{script}");
    assert!(!script.contains("tenant_id"), "{script}");
}

#[test]
fn seeds() {
    let plan = petshop();
    insta::assert_snapshot!("global_seed", script(&plan.global_seed()));
    insta::assert_snapshot!("shared_tenant_seed", script(&plan.shared_tenant_seed()));
    assert!(plan.own_tenant_seed().iter().all(|statement| !statement.sql.contains("tenant_id")));
}

#[test]
fn tables() {
    insta::assert_debug_snapshot!(petshop().tables());
}
