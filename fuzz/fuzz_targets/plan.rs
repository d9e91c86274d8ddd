//! Whatever a migration or a seed holds: there is a plan or there are refusals, what a plan runs is SQL, and nothing in it is of
//! a kind that reaches past a tenant.

#![no_main]

use domain::{AppName, TenantId};
use libfuzzer_sys::fuzz_target;
use pg_query::{NodeEnum, protobuf as pb};
use tenantize::{Plan, Sources, SqlFile, Statement};
use uuid::Uuid;

/// Tables for statements to be about.
const TABLES: &str = "
    CREATE TABLE t (id serial PRIMARY KEY, u text UNIQUE, n int DEFAULT 1 CHECK (n > 0), at timestamptz);
    CREATE TABLE c (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t int REFERENCES t (id) ON DELETE CASCADE, u text);
    -- sindico: global
    CREATE TABLE g (code text PRIMARY KEY, name text);";

fuzz_target!(|data: &[u8]| {
    let Some((&mode, rest)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(rest).into_owned();
    let file = |name: &str, text: &str| SqlFile { name: name.to_owned(), text: text.to_owned() };
    let sources = match mode % 3 {
        0 => Sources { migrations: vec![file("migrations/1.sql", &text)], seed: Vec::new() },
        1 => Sources {
            migrations: vec![file("migrations/0.sql", TABLES), file("migrations/1.sql", &text)],
            seed: Vec::new(),
        },
        _ => Sources {
            migrations: vec![file("migrations/0.sql", TABLES)],
            seed: vec![file("seed/1.sql", &text)],
        },
    };
    match tenantize::plan(&sources) {
        Ok(plan) => inspect(&plan),
        Err(refusals) => {
            for refusal in refusals.iter() {
                assert!(refusal.line > 0 && !refusal.reason.is_empty() && !refusal.remedy.is_empty(), "{refusal}");
            }
        }
    }
});

fn inspect(plan: &Plan) {
    let app: AppName = "fuzzed".parse().expect("a good name");
    let tenant = TenantId::from_uuid(Uuid::from_u128(7));
    let names = app.names();
    for statement in plan.shared_ddl(&names) {
        inspect_statement(&statement, true);
    }
    let own = [plan.own_database_ddl(&names), plan.own_schema_ddl(tenant)];
    let tenants = [plan.shared_tenant_ddl(tenant), plan.shared_tenant_seed(), plan.own_tenant_seed(), plan.global_seed()];
    for statement in own.iter().chain(&tenants).flatten() {
        inspect_statement(statement, false);
    }
}

fn inspect_statement(statement: &Statement, shared: bool) {
    let parsed = pg_query::parse(&statement.sql, pg_query::ParserOptions::default())
        .unwrap_or_else(|error| panic!("{}:{}: {error}: {}", statement.file, statement.line, statement.sql));
    // Some statements belong together, such as a foreign key and the policies around it.
    for raw in &parsed.protobuf.stmts {
        let node = raw.stmt.as_ref().and_then(|node| node.node.as_ref()).expect("a statement");
        assert!(!is_dangerous(node, shared), "{}:{}: {}", statement.file, statement.line, statement.sql);
    }
}

/// Kinds that an app must not bring, and forms of others that would undo what keeps tenants apart.
fn is_dangerous(node: &NodeEnum, shared: bool) -> bool {
    match node {
        NodeEnum::CreateFunctionStmt(function) => function.options.iter().any(|option| match &option.node {
            Some(NodeEnum::DefElem(option)) => match option.defname.as_str() {
                "security" => flag(option),
                "language" => !matches!(text(option), "sql" | "plpgsql"),
                _ => false,
            },
            _ => false,
        }),
        NodeEnum::ViewStmt(view) => {
            shared
                && !view.options.iter().any(|option| {
                    matches!(&option.node, Some(NodeEnum::DefElem(option)) if option.defname == "security_invoker" && flag(option))
                })
        }
        // Dumps create functions before the tables that they name.
        NodeEnum::VariableSetStmt(set) => set.name != "check_function_bodies",
        NodeEnum::CreateTableAsStmt(_)
        | NodeEnum::CreateRoleStmt(_)
        | NodeEnum::AlterRoleStmt(_)
        | NodeEnum::AlterRoleSetStmt(_)
        | NodeEnum::DropRoleStmt(_)
        | NodeEnum::GrantRoleStmt(_)
        | NodeEnum::CreateEventTrigStmt(_)
        | NodeEnum::CreateExtensionStmt(_)
        | NodeEnum::CreatePlangStmt(_)
        | NodeEnum::CreateFdwStmt(_)
        | NodeEnum::CreateForeignServerStmt(_)
        | NodeEnum::CreatePublicationStmt(_)
        | NodeEnum::CreateSubscriptionStmt(_)
        | NodeEnum::CreatedbStmt(_)
        | NodeEnum::DropdbStmt(_)
        | NodeEnum::AlterSystemStmt(_)
        | NodeEnum::LoadStmt(_)
        | NodeEnum::CopyStmt(_)
        | NodeEnum::TransactionStmt(_)
        | NodeEnum::RuleStmt(_)
        | NodeEnum::AlterOwnerStmt(_)
        | NodeEnum::RefreshMatViewStmt(_) => true,
        _ => false,
    }
}

fn flag(option: &pb::DefElem) -> bool {
    match option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::Boolean(value)) => value.boolval,
        Some(NodeEnum::String(value)) => value.sval.eq_ignore_ascii_case("true"),
        None => true,
        Some(_) => false,
    }
}

fn text(option: &pb::DefElem) -> &str {
    match option.arg.as_ref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::String(value)) => &value.sval,
        _ => "",
    }
}
