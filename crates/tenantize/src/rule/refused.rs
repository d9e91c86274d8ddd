//! Statements that no rule covers, each with what to do instead.

use pg_query::NodeEnum;

use crate::refusal::Fault;

/// For trees that PostgreSQL's parser does not make.
pub(super) fn nothing() -> Fault {
    Fault::unsupported("a statement without a subject", "write the statement in full")
}

/// For statements that build something, among the seed.
pub(super) fn in_seed(kind: &NodeEnum) -> Fault {
    match kind {
        NodeEnum::CreateStmt(_)
        | NodeEnum::AlterTableStmt(_)
        | NodeEnum::IndexStmt(_)
        | NodeEnum::CommentStmt(_)
        | NodeEnum::RenameStmt(_)
        | NodeEnum::DropStmt(_) => Fault::new(
            "the seed runs as the tenant itself, which cannot change tables",
            "move the statement to migrations/",
        ),
        other => statement(other),
    }
}

/// For every other kind of statement.
pub(super) fn statement(kind: &NodeEnum) -> Fault {
    let (what, remedy) = match kind {
        NodeEnum::CreateTableAsStmt(_) => {
            ("CREATE TABLE AS and materialized views", "create the table with its columns")
        }
        NodeEnum::ViewStmt(_) => ("a view", "query the tables from the application"),
        NodeEnum::CreateFunctionStmt(_) => ("a function or procedure", "keep this logic in the application"),
        NodeEnum::CreateTrigStmt(_) | NodeEnum::CreateEventTrigStmt(_) => {
            ("a trigger", "use a DEFAULT, a CHECK or a generated column, or keep this logic in the application")
        }
        NodeEnum::RuleStmt(_) => ("a rule", "keep this logic in the application"),
        NodeEnum::CreateEnumStmt(_) | NodeEnum::CompositeTypeStmt(_) | NodeEnum::CreateRangeStmt(_) => {
            ("a type of the app's own", "use text with a CHECK, or separate columns")
        }
        NodeEnum::CreateDomainStmt(_) => ("a domain", "put its CHECK on the columns"),
        NodeEnum::CreateSeqStmt(_) | NodeEnum::AlterSeqStmt(_) => {
            ("a sequence of its own", "use GENERATED ALWAYS AS IDENTITY on the column")
        }
        NodeEnum::CreateExtensionStmt(_) => {
            ("an extension", "do without it: an app's databases have none but plpgsql in this version")
        }
        NodeEnum::CreateSchemaStmt(_) => {
            ("a schema", "leave it out: síndico puts each table where its isolation wants it")
        }
        NodeEnum::GrantStmt(_)
        | NodeEnum::GrantRoleStmt(_)
        | NodeEnum::AlterDefaultPrivilegesStmt(_)
        | NodeEnum::CreateRoleStmt(_)
        | NodeEnum::AlterRoleStmt(_)
        | NodeEnum::AlterOwnerStmt(_)
        | NodeEnum::CreatePolicyStmt(_) => {
            ("roles, privileges and policies", "leave them out: síndico decides who reads and writes which rows")
        }
        NodeEnum::VariableSetStmt(_) | NodeEnum::VariableShowStmt(_) => {
            ("a setting (SET, RESET, SHOW)", "leave it out: síndico sets search_path and the rest")
        }
        NodeEnum::TransactionStmt(_) => {
            ("transaction control (BEGIN, COMMIT, SAVEPOINT…)", "leave it out: síndico wraps the statements itself")
        }
        NodeEnum::DoStmt(_) | NodeEnum::CallStmt(_) => ("a DO block or CALL", "write the statements that it would run"),
        NodeEnum::CopyStmt(_) => ("COPY", "write the rows as INSERT … VALUES"),
        NodeEnum::TruncateStmt(_) => ("TRUNCATE", "write DELETE FROM in a seed file"),
        NodeEnum::MergeStmt(_) => ("MERGE", "write INSERT … ON CONFLICT, UPDATE or DELETE"),
        NodeEnum::LockStmt(_) => ("LOCK", "leave it out"),
        NodeEnum::PrepareStmt(_) | NodeEnum::ExecuteStmt(_) | NodeEnum::DeallocateStmt(_) => {
            ("PREPARE and EXECUTE", "write the statement itself")
        }
        NodeEnum::ListenStmt(_) | NodeEnum::NotifyStmt(_) | NodeEnum::UnlistenStmt(_) => {
            ("LISTEN and NOTIFY", "use them from the application")
        }
        NodeEnum::ExplainStmt(_) => ("EXPLAIN", "remove it"),
        NodeEnum::VacuumStmt(_) | NodeEnum::ReindexStmt(_) | NodeEnum::ClusterStmt(_) | NodeEnum::CheckPointStmt(_) => {
            ("maintenance (VACUUM, ANALYZE, REINDEX…)", "leave it to whoever runs the clusters")
        }
        _ => (
            "a statement of this kind",
            "use CREATE TABLE, CREATE INDEX, ALTER TABLE, COMMENT, DROP, INSERT, UPDATE or DELETE",
        ),
    };
    Fault::unsupported(what, remedy)
}
