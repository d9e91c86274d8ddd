//! Statements that would reach beyond the tenant where tables are shared.

use pg_query::NodeEnum;

use crate::refusal::Fault;

/// Why a statement is not run where tables are shared.
pub(super) fn shared(kind: &NodeEnum) -> Fault {
    match kind {
        NodeEnum::ExplainStmt(_) => explain(),
        _ => lock(),
    }
}

/// For LOCK.
pub(crate) fn lock() -> Fault {
    Fault::new(
        "LOCK is not available where tenants share tables: it would hold up the others",
        "lock rows with SELECT … FOR UPDATE, or ask for an isolation with tables of your own",
    )
}

/// For EXPLAIN.
pub(crate) fn explain() -> Fault {
    Fault::new(
        "EXPLAIN is not available where tenants share tables: its estimates tell of the others' rows",
        "run it on a copy of your data, or ask for an isolation with tables of your own",
    )
}
