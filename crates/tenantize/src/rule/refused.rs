//! Statements that no rule covers, each with what to do instead.

use pg_query::{NodeEnum, protobuf as pb};

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
        NodeEnum::CreateTableAsStmt(created) if created.objtype() == pb::ObjectType::ObjectMatview => {
            ("a materialized view", "create a view, which is always fresh, or a table that the application fills")
        }
        NodeEnum::CreateTableAsStmt(_) => {
            ("CREATE TABLE AS", "create the table with its columns, and fill it with INSERT … SELECT in seed/")
        }
        NodeEnum::CreateEventTrigStmt(_) | NodeEnum::AlterEventTrigStmt(_) => {
            ("an event trigger", "leave it out: it would run for síndico's own statements, and takes a superuser")
        }
        NodeEnum::RuleStmt(_) => ("a rule", "use a trigger, on a view INSTEAD OF: a rule rewrites past the policies"),
        NodeEnum::RefreshMatViewStmt(_) => ("REFRESH MATERIALIZED VIEW", "use a view, which is always fresh"),
        NodeEnum::DefineStmt(define) => return definition(define),
        NodeEnum::CreateCastStmt(_) => ("a cast", "write the conversion where it is needed, or in a function"),
        NodeEnum::CreateOpClassStmt(_) | NodeEnum::CreateOpFamilyStmt(_) | NodeEnum::AlterOpFamilyStmt(_) => {
            ("an operator class", "use PostgreSQL's own: creating one takes a superuser")
        }
        NodeEnum::CreatePlangStmt(_) => ("a language", "write functions in SQL or PL/pgSQL"),
        NodeEnum::CreateAmStmt(_) => ("an access method", "use PostgreSQL's own: creating one takes a superuser"),
        NodeEnum::CreateFdwStmt(_)
        | NodeEnum::AlterFdwStmt(_)
        | NodeEnum::CreateForeignServerStmt(_)
        | NodeEnum::AlterForeignServerStmt(_)
        | NodeEnum::CreateForeignTableStmt(_)
        | NodeEnum::CreateUserMappingStmt(_)
        | NodeEnum::AlterUserMappingStmt(_)
        | NodeEnum::DropUserMappingStmt(_)
        | NodeEnum::ImportForeignSchemaStmt(_) => (
            "foreign data",
            "fetch it from the application: connections of a server's own pass every tenant's boundary",
        ),
        NodeEnum::CreatePublicationStmt(_)
        | NodeEnum::AlterPublicationStmt(_)
        | NodeEnum::CreateSubscriptionStmt(_)
        | NodeEnum::AlterSubscriptionStmt(_)
        | NodeEnum::DropSubscriptionStmt(_) => {
            ("replication", "leave it to whoever runs the clusters: it carries the rows of all tenants")
        }
        NodeEnum::CreateTableSpaceStmt(_) | NodeEnum::DropTableSpaceStmt(_) => {
            ("a tablespace", "leave it to whoever runs the clusters")
        }
        NodeEnum::CreatedbStmt(_)
        | NodeEnum::DropdbStmt(_)
        | NodeEnum::AlterDatabaseStmt(_)
        | NodeEnum::AlterDatabaseSetStmt(_) => ("a database", "leave it out: síndico creates and configures databases"),
        NodeEnum::AlterObjectSchemaStmt(_) => {
            ("SET SCHEMA", "leave it out: síndico puts everything where its isolation wants it")
        }
        NodeEnum::AlterTsdictionaryStmt(_) | NodeEnum::AlterTsconfigurationStmt(_) => {
            ("a text search configuration", "use one of PostgreSQL's own, such as english or simple")
        }
        NodeEnum::AlterTypeStmt(_) => ("ALTER TYPE … SET", "leave it out: it is for base types in C"),
        NodeEnum::AlterSystemStmt(_) | NodeEnum::LoadStmt(_) => {
            ("the server's configuration", "leave it to whoever runs the clusters")
        }
        NodeEnum::CreateSeqStmt(_) | NodeEnum::AlterSeqStmt(_) => {
            ("a sequence of its own", "use GENERATED ALWAYS AS IDENTITY on the column")
        }
        NodeEnum::CreateSchemaStmt(_) => {
            ("a schema", "leave it out: síndico puts each table where its isolation wants it")
        }
        NodeEnum::DoStmt(_) => ("a DO block", "write the statements that it would run"),
        NodeEnum::TruncateStmt(_) => ("TRUNCATE", "write DELETE FROM in a seed file"),
        NodeEnum::MergeStmt(_) => ("MERGE", "write INSERT … ON CONFLICT, UPDATE or DELETE"),
        NodeEnum::PrepareStmt(_) | NodeEnum::ExecuteStmt(_) | NodeEnum::DeallocateStmt(_) => {
            ("PREPARE and EXECUTE", "write the statement itself")
        }
        NodeEnum::ExplainStmt(_) => ("EXPLAIN", "remove it"),
        _ => (
            "a statement of this kind",
            "write it with tables, indexes, types, views, functions, triggers, INSERT, UPDATE and DELETE",
        ),
    };
    Fault::unsupported(what, remedy)
}

/// For CREATE AGGREGATE and what else has the same shape.
fn definition(define: &pb::DefineStmt) -> Fault {
    use pb::ObjectType as Kind;
    let (what, remedy) = match define.kind() {
        Kind::ObjectAggregate => {
            ("an aggregate", "use array_agg and a function of the array, or PostgreSQL's own aggregates")
        }
        Kind::ObjectOperator => ("an operator", "call its function"),
        Kind::ObjectType => ("a base type", "create a domain, an enum or a composite type"),
        Kind::ObjectCollation => ("a collation", "use one of PostgreSQL's own, such as \"en-x-icu\" or \"C\""),
        _ => ("a text search configuration", "use one of PostgreSQL's own, such as english or simple"),
    };
    Fault::unsupported(what, remedy)
}

/// For DROP of what apps cannot create.
pub(super) fn drop_of(kind: pb::ObjectType) -> Fault {
    use pb::ObjectType as Kind;
    match kind {
        Kind::ObjectSchema => Fault::unsupported("DROP SCHEMA", "drop the tables one by one: síndico owns the schemas"),
        Kind::ObjectMatview => Fault::unsupported("DROP MATERIALIZED VIEW", "remove it: an app has views instead"),
        _ => {
            Fault::unsupported("DROP of this", "drop tables, sequences, indexes, views, types, functions and triggers")
        }
    }
}
