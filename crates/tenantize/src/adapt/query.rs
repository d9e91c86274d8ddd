//! Queries: what is in them, and which names a WITH clause gives in which part.

use pg_query::{NodeEnum, protobuf as pb};

use super::Adapter;
use crate::refusal::Verdict;

impl<'a> Adapter<'a> {
    /// A query, with what it sees of those around it. Anything else than a query has nothing to adapt.
    pub(super) fn query(&mut self, node: &'a pb::Node) -> Verdict<()> {
        let visible = self.shadows.len();
        match &node.node {
            Some(NodeEnum::SelectStmt(select)) => self.select(select),
            Some(NodeEnum::InsertStmt(insert)) => self.insert(insert),
            Some(NodeEnum::UpdateStmt(update)) => self.update(update),
            Some(NodeEnum::DeleteStmt(delete)) => self.delete(delete),
            Some(NodeEnum::MergeStmt(merge)) => self.merge(merge),
            _ => Ok(()),
        }?;
        self.shadows.truncate(visible);
        Ok(())
    }

    pub(super) fn select(&mut self, select: &'a pb::SelectStmt) -> Verdict<()> {
        let visible = self.shadows.len();
        self.with(select.with_clause.as_ref())?;
        for arm in [&select.larg, &select.rarg].into_iter().flatten() {
            self.select(arm)?;
        }
        self.expressions(&select.distinct_clause)?;
        self.targets(&select.target_list)?;
        self.from(&select.from_clause)?;
        self.expression(select.where_clause.as_deref())?;
        self.expressions(&select.group_clause)?;
        self.expression(select.having_clause.as_deref())?;
        self.expressions(&select.window_clause)?;
        self.expressions(&select.values_lists)?;
        self.expressions(&select.sort_clause)?;
        self.expression(select.limit_offset.as_deref())?;
        self.expression(select.limit_count.as_deref())?;
        self.shadows.truncate(visible);
        Ok(())
    }

    fn insert(&mut self, insert: &'a pb::InsertStmt) -> Verdict<()> {
        self.with(insert.with_clause.as_ref())?;
        self.targets(&insert.cols)?;
        if let Some(source) = insert.select_stmt.as_deref() {
            self.query(source)?;
        }
        if let Some(conflict) = insert.on_conflict_clause.as_deref() {
            self.on_conflict(insert, conflict)?;
        }
        self.returning(insert.returning_clause.as_ref())
    }

    fn update(&mut self, update: &'a pb::UpdateStmt) -> Verdict<()> {
        self.with(update.with_clause.as_ref())?;
        self.targets(&update.target_list)?;
        self.from(&update.from_clause)?;
        self.expression(update.where_clause.as_deref())?;
        self.returning(update.returning_clause.as_ref())
    }

    fn delete(&mut self, delete: &'a pb::DeleteStmt) -> Verdict<()> {
        self.with(delete.with_clause.as_ref())?;
        self.from(&delete.using_clause)?;
        self.expression(delete.where_clause.as_deref())?;
        self.returning(delete.returning_clause.as_ref())
    }

    fn merge(&mut self, merge: &'a pb::MergeStmt) -> Verdict<()> {
        self.with(merge.with_clause.as_ref())?;
        self.from(merge.source_relation.as_deref())?;
        self.expression(merge.join_condition.as_deref())?;
        for when in &merge.merge_when_clauses {
            if let Some(NodeEnum::MergeWhenClause(when)) = &when.node {
                self.expression(when.condition.as_deref())?;
                self.targets(&when.target_list)?;
                self.expressions(&when.values)?;
            }
        }
        self.returning(merge.returning_clause.as_ref())
    }

    /// A WITH query sees those before it, and with RECURSIVE all of them and itself.
    fn with(&mut self, clause: Option<&'a pb::WithClause>) -> Verdict<()> {
        let Some(clause) = clause else { return Ok(()) };
        let queries = clause.ctes.iter().filter_map(|cte| match &cte.node {
            Some(NodeEnum::CommonTableExpr(cte)) => Some(cte.as_ref()),
            _ => None,
        });
        if clause.recursive {
            self.shadows.extend(queries.clone().map(|cte| cte.ctename.as_str()));
        }
        for cte in queries {
            if let Some(query) = cte.ctequery.as_deref() {
                self.query(query)?;
            }
            self.shadows.push(&cte.ctename);
        }
        Ok(())
    }

    /// What rows come from.
    fn from(&mut self, items: impl IntoIterator<Item = &'a pb::Node>) -> Verdict<()> {
        items.into_iter().try_for_each(|item| self.source(item))
    }

    fn source(&mut self, item: &'a pb::Node) -> Verdict<()> {
        match &item.node {
            Some(NodeEnum::JoinExpr(join)) => {
                self.from([join.larg.as_deref(), join.rarg.as_deref()].into_iter().flatten())?;
                self.expression(join.quals.as_deref())
            }
            Some(NodeEnum::RangeSubselect(sub)) => sub.subquery.as_deref().map_or(Ok(()), |query| self.query(query)),
            Some(NodeEnum::RangeFunction(function)) => self.expressions(&function.functions),
            Some(NodeEnum::RangeTableSample(sample)) => {
                self.from(sample.relation.as_deref())?;
                self.expressions(&sample.args)?;
                self.expression(sample.repeatable.as_deref())
            }
            Some(NodeEnum::RangeTableFunc(function)) => {
                self.expression(function.docexpr.as_deref())?;
                self.expression(function.rowexpr.as_deref())
            }
            _ => Ok(()),
        }
    }

    fn returning(&mut self, clause: Option<&'a pb::ReturningClause>) -> Verdict<()> {
        clause.map_or(Ok(()), |clause| self.targets(&clause.exprs))
    }

    /// Columns of a result, or columns that get values.
    pub(super) fn targets(&mut self, targets: &'a [pb::Node]) -> Verdict<()> {
        for target in targets {
            if let Some(NodeEnum::ResTarget(target)) = &target.node {
                self.expressions(&target.indirection)?;
                self.expression(target.val.as_deref())?;
            }
        }
        Ok(())
    }
}
