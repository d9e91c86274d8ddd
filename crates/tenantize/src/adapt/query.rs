//! Queries: what is in them, and which names a WITH clause gives in which part.

use pg_query::{NodeEnum, protobuf as pb};

use super::Adapter;
use super::width::queries;
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

    fn select(&mut self, select: &'a pb::SelectStmt) -> Verdict<()> {
        let visible = self.shadows.len();
        let arms = [select.larg.as_deref(), select.rarg.as_deref()];
        let counted = self.counted || arms.iter().any(Option::is_some);
        self.counting(counted, |this| {
            this.with(select.with_clause.as_ref())?;
            arms.into_iter().flatten().try_for_each(|arm| this.select(arm))
        })?;
        self.stars(&select.target_list, &select.from_clause, None)?;
        self.results(&select.target_list)?;
        self.from(&select.from_clause)?;
        self.group_by(select);
        let counted = std::mem::replace(&mut self.counted, false);
        self.expressions(&select.distinct_clause)?;
        self.expression(select.where_clause.as_deref())?;
        self.expressions(&select.group_clause)?;
        self.expression(select.having_clause.as_deref())?;
        self.expressions(&select.window_clause)?;
        for row in &select.values_lists {
            if let Some(NodeEnum::List(row)) = &row.node {
                self.value_stars(&row.items, false)?;
            }
        }
        self.expressions(&select.values_lists)?;
        self.expressions(&select.sort_clause)?;
        self.expression(select.limit_offset.as_deref())?;
        self.expression(select.limit_count.as_deref())?;
        self.counted = counted;
        self.shadows.truncate(visible);
        Ok(())
    }

    fn insert(&mut self, insert: &'a pb::InsertStmt) -> Verdict<()> {
        self.counting(true, |this| {
            this.with(insert.with_clause.as_ref())?;
            insert.select_stmt.as_deref().map_or(Ok(()), |source| this.query(source))
        })?;
        self.relations(insert.relation.as_ref());
        self.targets(&insert.cols)?;
        self.insert_columns(insert)?;
        if let Some(conflict) = insert.on_conflict_clause.as_deref() {
            self.on_conflict(insert, conflict)?;
        }
        self.returning(insert.returning_clause.as_ref(), insert.relation.as_ref(), &[])
    }

    fn update(&mut self, update: &'a pb::UpdateStmt) -> Verdict<()> {
        self.with(update.with_clause.as_ref())?;
        self.relations(update.relation.as_ref());
        self.targets(&update.target_list)?;
        self.from(&update.from_clause)?;
        self.expression(update.where_clause.as_deref())?;
        self.returning(update.returning_clause.as_ref(), update.relation.as_ref(), &update.from_clause)
    }

    fn delete(&mut self, delete: &'a pb::DeleteStmt) -> Verdict<()> {
        self.with(delete.with_clause.as_ref())?;
        self.relations(delete.relation.as_ref());
        self.from(&delete.using_clause)?;
        self.expression(delete.where_clause.as_deref())?;
        self.returning(delete.returning_clause.as_ref(), delete.relation.as_ref(), &delete.using_clause)
    }

    fn merge(&mut self, merge: &'a pb::MergeStmt) -> Verdict<()> {
        self.with(merge.with_clause.as_ref())?;
        self.relations(merge.relation.as_ref());
        self.from(merge.source_relation.as_deref())?;
        self.expression(merge.join_condition.as_deref())?;
        for when in &merge.merge_when_clauses {
            if let Some(NodeEnum::MergeWhenClause(when)) = &when.node {
                self.expression(when.condition.as_deref())?;
                self.targets(&when.target_list)?;
                self.value_stars(&when.values, false)?;
                self.expressions(&when.values)?;
            }
        }
        merge.returning_clause.as_ref().map_or(Ok(()), |clause| self.results(&clause.exprs))
    }

    /// A WITH query sees those before it, and with RECURSIVE all of them and itself.
    fn with(&mut self, clause: Option<&'a pb::WithClause>) -> Verdict<()> {
        let Some(clause) = clause else { return Ok(()) };
        self.announce(clause);
        for cte in queries(clause) {
            if let Some(query) = cte.ctequery.as_deref() {
                self.query(query)?;
            }
            self.declare(cte);
        }
        Ok(())
    }

    /// What rows come from.
    fn from(&mut self, items: impl IntoIterator<Item = &'a pb::Node>) -> Verdict<()> {
        items.into_iter().try_for_each(|item| self.source(item))
    }

    fn source(&mut self, item: &'a pb::Node) -> Verdict<()> {
        match &item.node {
            Some(NodeEnum::RangeVar(relation)) => {
                self.relation(relation);
                Ok(())
            }
            Some(NodeEnum::JoinExpr(join)) => {
                self.from([join.larg.as_deref(), join.rarg.as_deref()].into_iter().flatten())?;
                self.expression(join.quals.as_deref())
            }
            Some(NodeEnum::RangeSubselect(sub)) => sub.subquery.as_deref().map_or(Ok(()), |query| self.query(query)),
            Some(NodeEnum::RangeFunction(function)) => {
                let before = std::mem::replace(&mut self.in_from, true);
                let done = self.expressions(&function.functions);
                self.in_from = before;
                done
            }
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

    fn returning(
        &mut self,
        clause: Option<&'a pb::ReturningClause>,
        target: Option<&'a pb::RangeVar>,
        from: &'a [pb::Node],
    ) -> Verdict<()> {
        let Some(clause) = clause else { return Ok(()) };
        self.stars(&clause.exprs, from, target)?;
        self.results(&clause.exprs)
    }

    fn relations(&mut self, relation: Option<&'a pb::RangeVar>) {
        if let Some(relation) = relation {
            self.relation(relation);
        }
    }

    /// Does something where stars count, or where they do not.
    pub(super) fn counting(&mut self, counted: bool, work: impl FnOnce(&mut Self) -> Verdict<()>) -> Verdict<()> {
        let before = std::mem::replace(&mut self.counted, counted);
        let done = work(self);
        self.counted = before;
        done
    }

    /// Columns of a result: one whose expression becomes another keeps its name.
    fn results(&mut self, targets: &'a [pb::Node]) -> Verdict<()> {
        for target in targets {
            if let Some(NodeEnum::ResTarget(target)) = &target.node
                && target.name.is_empty()
            {
                self.keep_name(target);
            }
        }
        self.targets(targets)
    }

    /// Columns of a result, or columns that get values.
    pub(super) fn targets(&mut self, targets: &'a [pb::Node]) -> Verdict<()> {
        for target in targets {
            if let Some(NodeEnum::ResTarget(target)) = &target.node {
                self.expressions(&target.indirection)?;
                self.counting(false, |this| this.expression(target.val.as_deref()))?;
            }
        }
        Ok(())
    }
}
