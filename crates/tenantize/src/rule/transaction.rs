//! BEGIN, COMMIT and their kin.

use pg_query::protobuf as pb;

use super::Rewrite;
use crate::refusal::{Fault, Verdict};

/// Files run whole or not at all anyway, so brackets around all or some of their statements say nothing new. What takes
/// statements back is refused: they would have to be left out.
pub(super) fn apply(statement: &pb::TransactionStmt) -> Verdict<Rewrite> {
    use pb::TransactionStmtKind as Kind;
    match statement.kind() {
        Kind::TransStmtBegin
        | Kind::TransStmtStart
        | Kind::TransStmtCommit
        | Kind::TransStmtSavepoint
        | Kind::TransStmtRelease => Ok(Rewrite::dropped("síndico runs the statements in transactions of its own")),
        _ => Err(Fault::unsupported(
            "ROLLBACK, or a transaction in two phases",
            "remove it together with the statements that it would take back",
        )),
    }
}
