//! `ON CONFLICT (…)`: where tables are shared, keys lead with `tenant_id`.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Adapter, Edit, TENANT_ID, place};
use crate::refusal::Verdict;

impl<'a> Adapter<'a> {
    pub(super) fn on_conflict(
        &mut self,
        insert: &'a pb::InsertStmt,
        conflict: &'a pb::OnConflictClause,
    ) -> Verdict<()> {
        if let Some(infer) = conflict.infer.as_deref() {
            let table = insert.relation.as_ref().and_then(|relation| self.target(relation));
            if let (Some(_), Some(open)) = (table, place(infer.location))
                && !infer.index_elems.is_empty()
                && self.text.as_bytes().get(open) == Some(&b'(')
                && !names_tenant(&infer.index_elems)
            {
                self.edits.push(Edit::insert(open + 1, format!("{TENANT_ID}, ")));
            }
            for element in &infer.index_elems {
                if let Some(NodeEnum::IndexElem(element)) = &element.node {
                    self.expression(element.expr.as_deref())?;
                }
            }
            self.expression(infer.where_clause.as_deref())?;
        }
        self.targets(&conflict.target_list)?;
        self.expression(conflict.where_clause.as_deref())
    }
}

/// A client that looked at the table may know the column, and a statement adapted once is not adapted again.
fn names_tenant(elements: &[pb::Node]) -> bool {
    elements.iter().any(|element| matches!(&element.node, Some(NodeEnum::IndexElem(e)) if e.name == TENANT_ID))
}
