//! Which locks the statements of an upgrade take, and which of them may be held for long.
//!
//! Lock modes are those of the PostgreSQL manual, 13.3 and the pages of ALTER TABLE, CREATE INDEX and CREATE TRIGGER.

use std::collections::HashSet;

use pg_query::protobuf as pb;
use pg_query::{Node, NodeEnum};
use serde::Serialize;

use super::{Run, Runner};
use crate::tree;

/// What a statement does to whoever uses a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// The migration.
    pub file: String,
    /// Line of the first statement that has it, from 1.
    pub line: u32,
    /// The table, as the app calls it.
    pub table: String,
    /// The lock's mode as PostgreSQL names it, kept until the migration is through.
    pub lock: &'static str,
    /// What is held up by it.
    pub blocks: &'static str,
    /// What makes it last, if more than a moment.
    pub lasts: Option<&'static str>,
}

const ALL: (&str, &str) = ("ACCESS EXCLUSIVE", "reads and writes");
const WRITES: (&str, &str) = ("SHARE ROW EXCLUSIVE", "writes");
const SHARE: (&str, &str) = ("SHARE", "writes");
const UPKEEP: (&str, &str) = ("SHARE UPDATE EXCLUSIVE", "other migrations and vacuum");
const ROWS: (&str, &str) = ("ROW EXCLUSIVE", "changes of the same rows");

const REWRITES: &str = "the table is written anew";
const READS: &str = "all rows are read";
const INDEXES: &str = "an index is built over all rows";
const CHANGES: &str = "as long as its rows take";

impl Impact {
    /// The impacts of statements on tables that are there before them.
    #[must_use]
    pub fn of(runs: &[Run]) -> Vec<Self> {
        let mut new = HashSet::new();
        let mut impacts: Vec<Self> = Vec::new();
        for (by, statement) in runs.iter().flat_map(|run| run.statements.iter().map(move |it| (run.by, it))) {
            // Tenants' sequences: nobody waits for them.
            if by == Runner::Definer {
                continue;
            }
            let Some(kind) = tree::parse(&statement.sql).ok().and_then(|tree| tree.node) else { continue };
            if let NodeEnum::CreateStmt(table) = &kind {
                new.extend(table.relation.as_ref().map(|relation| relation.relname.clone()));
            }
            for (table, (lock, blocks), lasts) in of_statement(&kind) {
                if new.contains(&table) || table.is_empty() {
                    continue;
                }
                let impact = Self { file: statement.file.clone(), line: statement.line, table, lock, blocks, lasts };
                let known = |it: &Self| (&it.table, it.lock, it.lasts) == (&impact.table, lock, lasts);
                if !impacts.iter().any(known) {
                    impacts.push(impact);
                }
            }
        }
        impacts
    }
}

type Found = (String, (&'static str, &'static str), Option<&'static str>);

fn named(relation: Option<&pb::RangeVar>) -> String {
    relation.map(|relation| relation.relname.clone()).unwrap_or_default()
}

fn of_statement(kind: &NodeEnum) -> Vec<Found> {
    match kind {
        NodeEnum::AlterTableStmt(alter) => {
            let table = named(alter.relation.as_ref());
            let commands = alter.cmds.iter().filter_map(|node| match &node.node {
                Some(NodeEnum::AlterTableCmd(command)) => Some(command),
                _ => None,
            });
            commands.flat_map(|command| of_command(&table, command)).collect()
        }
        NodeEnum::IndexStmt(index) => vec![(named(index.relation.as_ref()), SHARE, Some(INDEXES))],
        NodeEnum::CreateTrigStmt(trigger) => vec![(named(trigger.relation.as_ref()), WRITES, None)],
        NodeEnum::CreateStmt(table) => {
            let constraints = table.table_elts.iter().flat_map(constraints);
            constraints.filter_map(parent).map(|parent| (parent, WRITES, None)).collect()
        }
        NodeEnum::DropStmt(drop) if drop.remove_type() == pb::ObjectType::ObjectTable => {
            let last = |node: &Node| match &node.node {
                Some(NodeEnum::List(list)) => list.items.last().and_then(tree::string).map(str::to_owned),
                _ => None,
            };
            drop.objects.iter().filter_map(last).map(|table| (table, ALL, None)).collect()
        }
        NodeEnum::RenameStmt(rename) => vec![(named(rename.relation.as_ref()), ALL, None)],
        NodeEnum::UpdateStmt(update) => vec![(named(update.relation.as_ref()), ROWS, Some(CHANGES))],
        NodeEnum::DeleteStmt(delete) => vec![(named(delete.relation.as_ref()), ROWS, Some(CHANGES))],
        NodeEnum::InsertStmt(insert) => vec![(named(insert.relation.as_ref()), ROWS, Some(CHANGES))],
        _ => Vec::new(),
    }
}

fn of_command(table: &str, command: &pb::AlterTableCmd) -> Vec<Found> {
    use pb::AlterTableType as Kind;
    let one = |lock, lasts| vec![(table.to_owned(), lock, lasts)];
    let def = command.def.as_deref();
    match command.subtype() {
        Kind::AtAddColumn => {
            let mut found = one(ALL, def.and_then(|def| constraints(def).find_map(column_lasts)));
            found.extend(def.into_iter().flat_map(constraints).filter_map(parent).map(|parent| (parent, WRITES, None)));
            found
        }
        Kind::AtAlterColumnType => one(ALL, Some(REWRITES)),
        // The second is síndico's own, before all rows are compared.
        Kind::AtSetNotNull | Kind::AtNoForceRowSecurity => one(ALL, Some(READS)),
        Kind::AtValidateConstraint => one(UPKEEP, Some(READS)),
        Kind::AtSetStatistics | Kind::AtSetOptions | Kind::AtResetOptions | Kind::AtSetRelOptions => one(UPKEEP, None),
        Kind::AtAddConstraint => {
            let Some(NodeEnum::Constraint(constraint)) = def.and_then(|def| def.node.as_ref()) else {
                return one(ALL, None);
            };
            let read = (!constraint.skip_validation).then_some(READS);
            match constraint.contype() {
                pb::ConstrType::ConstrForeign => {
                    let parent = parent(constraint).map(|parent| (parent, WRITES, None));
                    one(WRITES, read).into_iter().chain(parent).collect()
                }
                pb::ConstrType::ConstrPrimary | pb::ConstrType::ConstrUnique if constraint.indexname.is_empty() => {
                    one(ALL, Some(INDEXES))
                }
                pb::ConstrType::ConstrCheck | pb::ConstrType::ConstrNotnull => one(ALL, read),
                _ => one(ALL, None),
            }
        }
        Kind::AtForceRowSecurity | Kind::AtEnableRowSecurity => Vec::new(),
        _ => one(ALL, None),
    }
}

fn constraints(node: &Node) -> impl Iterator<Item = &pb::Constraint> {
    let of_column: &[Node] = match &node.node {
        Some(NodeEnum::ColumnDef(column)) => &column.constraints,
        Some(NodeEnum::Constraint(_)) => std::slice::from_ref(node),
        _ => &[],
    };
    of_column.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::Constraint(constraint)) => Some(constraint.as_ref()),
        _ => None,
    })
}

fn parent(constraint: &pb::Constraint) -> Option<String> {
    constraint.pktable.as_ref().map(|parent| parent.relname.clone())
}

/// What a column that is added has to be computed or compared for.
fn column_lasts(constraint: &pb::Constraint) -> Option<&'static str> {
    use pb::ConstrType as Kind;
    match constraint.contype() {
        Kind::ConstrGenerated | Kind::ConstrIdentity => Some(REWRITES),
        // One value for all rows is kept in the catalog; a function may give each row another.
        Kind::ConstrDefault => {
            let calls = constraint.raw_expr.as_deref().is_some_and(|it| !tree::functions_called(it).is_empty());
            calls.then_some(REWRITES)
        }
        Kind::ConstrCheck => Some(READS),
        Kind::ConstrUnique | Kind::ConstrPrimary => Some(INDEXES),
        _ => None,
    }
}
