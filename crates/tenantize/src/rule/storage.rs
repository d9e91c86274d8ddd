//! How and where rows are stored: parameters that suit every isolation are kept, places are the operator's business.

use pg_query::{NodeEnum, protobuf as pb};

use crate::refusal::{Fault, Verdict};

/// Storage parameters of tables (PostgreSQL manual, CREATE TABLE), but for `user_catalog_table`.
const OF_TABLES: [&str; 6] = [
    "fillfactor",
    "toast_tuple_target",
    "parallel_workers",
    "vacuum_index_cleanup",
    "vacuum_truncate",
    "log_autovacuum_min_duration",
];

/// Storage parameters of indexes (PostgreSQL manual, CREATE INDEX).
const OF_INDEXES: [&str; 8] = [
    "fillfactor",
    "deduplicate_items",
    "buffering",
    "fastupdate",
    "gin_pending_list_limit",
    "pages_per_range",
    "autosummarize",
    "length",
];

pub(super) fn check_table(options: &[pb::Node]) -> Verdict<()> {
    check(options, |name| OF_TABLES.contains(&name) || name.starts_with("autovacuum_"))
}

pub(super) fn check_index(options: &[pb::Node]) -> Verdict<()> {
    check(options, |name| OF_INDEXES.contains(&name))
}

fn check(options: &[pb::Node], known: impl Fn(&str) -> bool) -> Verdict<()> {
    for option in options {
        let Some(NodeEnum::DefElem(option)) = &option.node else { return Err(super::refused::nothing()) };
        if !known(&option.defname) {
            return Err(Fault::unsupported(
                format!("the storage parameter {}", option.defname),
                "leave it out, or correct its name",
            ));
        }
    }
    Ok(())
}

/// The default one is where everything is anyway.
pub(super) fn check_tablespace(name: &str) -> Verdict<()> {
    if matches!(name, "" | "pg_default") {
        return Ok(());
    }
    Err(Fault::unsupported(
        format!("the tablespace {name}"),
        "leave it out: whoever runs the servers decides about their disks",
    ))
}

/// Heap is what everything is anyway.
pub(super) fn check_access_method(name: &str) -> Verdict<()> {
    if matches!(name, "" | "heap") {
        return Ok(());
    }
    Err(Fault::unsupported(format!("the table access method {name}"), "leave it out: rows are kept in the heap"))
}
