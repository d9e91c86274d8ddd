//! What each kind of statement becomes. One file per kind; what has no file is refused.

use pg_query::{NodeEnum, protobuf as pb};

use crate::plan::{Grant, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;

mod alter_table;
mod column;
mod comment;
mod constraint;
mod create_index;
mod create_table;
mod dml;
mod drop;
mod foreign_key;
mod from;
mod place;
mod refused;
mod rename;

/// Where a statement stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A file of `migrations/`.
    Migration,
    /// A file of `seed/`.
    Seed,
}

/// One statement, rewritten.
#[derive(Debug)]
pub(crate) struct Rewrite {
    pub(crate) scope: Scope,
    pub(crate) shared: Vec<Sql>,
    pub(crate) own: Vec<Sql>,
    pub(crate) grants: Vec<Grant>,
}

/// A statement to run.
#[derive(Debug)]
pub(crate) enum Sql {
    /// A tree, which is written as the app wrote it if nothing in it changed.
    Tree(Box<pb::Node>),
    /// A statement of síndico's own.
    Text(String),
}

impl Rewrite {
    /// The same statement in every isolation.
    fn alike(scope: Scope, kind: NodeEnum) -> Self {
        Self::differing(scope, kind.clone(), kind)
    }

    /// One statement for shared tables and another for a tenant's own.
    fn differing(scope: Scope, shared: NodeEnum, own: NodeEnum) -> Self {
        let tree = |kind| vec![Sql::Tree(Box::new(crate::tree::node(kind)))];
        Self { scope, shared: tree(shared), own: tree(own), grants: Vec::new() }
    }
}

/// Applies the rule for one statement; `global` says that `-- sindico: global` stands before it.
///
/// On an error the schema may be half changed and is to be thrown away.
pub(crate) fn apply(statement: &pb::Node, global: bool, stage: Stage, schema: &mut Schema) -> Verdict<Rewrite> {
    let Some(kind) = &statement.node else { return Err(refused::nothing()) };
    if global && !matches!(kind, NodeEnum::CreateStmt(_)) {
        return Err(Fault::new(
            "the marker 'sindico: global' is about tables, and this statement creates none",
            "put it right before the CREATE TABLE, or remove it",
        ));
    }
    match kind {
        NodeEnum::InsertStmt(_) | NodeEnum::UpdateStmt(_) | NodeEnum::DeleteStmt(_) | NodeEnum::SelectStmt(_) => {
            dml::apply(statement, stage, schema)
        }
        _ if stage == Stage::Seed => Err(refused::in_seed(kind)),
        NodeEnum::CreateStmt(table) => create_table::apply(table, global, schema),
        NodeEnum::AlterTableStmt(alter) => alter_table::apply(alter, schema),
        NodeEnum::IndexStmt(index) => create_index::apply(index, schema),
        NodeEnum::CommentStmt(comment) => comment::apply(comment, schema),
        NodeEnum::RenameStmt(rename) => rename::apply(rename, schema),
        NodeEnum::DropStmt(statement) => drop::apply(statement, schema),
        other => Err(refused::statement(other)),
    }
}

/// Tables that a refused statement would have made, so that what follows is not blamed for their absence.
pub(crate) fn creates(statement: &pb::Node) -> Option<String> {
    create_table::named(statement)
}

/// Takes `public.` off a table's name, which is in another schema for tenants that have their own; any other schema is
/// refused.
fn unqualify(relation: &mut pb::RangeVar) -> Verdict<()> {
    if !relation.catalogname.is_empty() || !matches!(relation.schemaname.as_str(), "" | "public") {
        return Err(Fault::new(
            format!("{}.{} is in a schema of its own", relation.schemaname, relation.relname),
            "leave the schema out: síndico puts each table where its isolation wants it",
        ));
    }
    relation.schemaname.clear();
    Ok(())
}

/// The table that a DDL statement is about, without `public.`.
fn target(relation: Option<&mut pb::RangeVar>) -> Verdict<&mut pb::RangeVar> {
    let relation = relation.ok_or_else(refused::nothing)?;
    unqualify(relation)?;
    if !relation.inh {
        return Err(Fault::unsupported("ONLY", "leave it out: no table has children"));
    }
    Ok(relation)
}
