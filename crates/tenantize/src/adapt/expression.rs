//! Expressions: what is in them.

use pg_query::{NodeEnum, protobuf as pb};

use super::Adapter;
use crate::refusal::Verdict;

impl<'a> Adapter<'a> {
    pub(super) fn expressions(&mut self, nodes: &'a [pb::Node]) -> Verdict<()> {
        nodes.iter().try_for_each(|node| self.expression(Some(node)))
    }

    pub(super) fn expression(&mut self, node: Option<&'a pb::Node>) -> Verdict<()> {
        let Some(kind) = node.and_then(|node| node.node.as_ref()) else { return Ok(()) };
        match kind {
            NodeEnum::AExpr(expr) => {
                self.expression(expr.lexpr.as_deref())?;
                self.expression(expr.rexpr.as_deref())
            }
            NodeEnum::BoolExpr(expr) => self.expressions(&expr.args),
            NodeEnum::NullTest(test) => self.expression(test.arg.as_deref()),
            NodeEnum::BooleanTest(test) => self.expression(test.arg.as_deref()),
            NodeEnum::CoalesceExpr(expr) => self.expressions(&expr.args),
            NodeEnum::MinMaxExpr(expr) => self.expressions(&expr.args),
            NodeEnum::AArrayExpr(expr) => self.expressions(&expr.elements),
            NodeEnum::RowExpr(expr) => {
                self.value_stars(&expr.args, true)?;
                self.expressions(&expr.args)
            }
            NodeEnum::List(list) => self.expressions(&list.items),
            NodeEnum::NamedArgExpr(arg) => self.expression(arg.arg.as_deref()),
            NodeEnum::CollateClause(collate) => self.expression(collate.arg.as_deref()),
            NodeEnum::CaseExpr(case) => {
                self.expression(case.arg.as_deref())?;
                self.expressions(&case.args)?;
                self.expression(case.defresult.as_deref())
            }
            NodeEnum::CaseWhen(when) => {
                self.expression(when.expr.as_deref())?;
                self.expression(when.result.as_deref())
            }
            NodeEnum::AIndirection(indirection) => {
                self.expression(indirection.arg.as_deref())?;
                self.expressions(&indirection.indirection)
            }
            NodeEnum::AIndices(indices) => {
                self.expression(indices.lidx.as_deref())?;
                self.expression(indices.uidx.as_deref())
            }
            NodeEnum::TypeCast(cast) => {
                self.cast(cast);
                self.row_cast(cast);
                self.expression(cast.arg.as_deref())
            }
            NodeEnum::ColumnRef(column) => {
                self.column(column);
                Ok(())
            }
            NodeEnum::FuncCall(call) => self.call(call),
            NodeEnum::SortBy(sort) => self.expression(sort.node.as_deref()),
            NodeEnum::WindowDef(window) => self.window(window),
            NodeEnum::GroupingSet(set) => self.expressions(&set.content),
            NodeEnum::GroupingFunc(function) => self.expressions(&function.args),
            NodeEnum::MultiAssignRef(assign) => self.expression(assign.source.as_deref()),
            NodeEnum::SubLink(link) => {
                self.expression(link.testexpr.as_deref())?;
                let counted = link.sub_link_type() != pb::SubLinkType::ExistsSublink;
                link.subselect.as_deref().map_or(Ok(()), |query| self.counting(counted, |this| this.query(query)))
            }
            NodeEnum::XmlExpr(expr) => {
                self.expressions(&expr.named_args)?;
                self.expressions(&expr.args)
            }
            NodeEnum::XmlSerialize(expr) => self.expression(expr.expr.as_deref()),
            NodeEnum::ResTarget(target) => self.expression(target.val.as_deref()),
            _ => Ok(()),
        }
    }

    pub(super) fn call(&mut self, call: &'a pb::FuncCall) -> Verdict<()> {
        self.routine(call);
        self.set_config(call);
        if !self.sequence_call(call) {
            self.named_relation(call);
            let in_from = std::mem::replace(&mut self.in_from, false);
            let done = self.expressions(&call.args);
            self.in_from = in_from;
            done?;
        }
        self.expressions(&call.agg_order)?;
        self.expression(call.agg_filter.as_deref())?;
        call.over.as_deref().map_or(Ok(()), |window| self.window(window))
    }

    fn window(&mut self, window: &'a pb::WindowDef) -> Verdict<()> {
        self.expressions(&window.partition_clause)?;
        self.expressions(&window.order_clause)?;
        self.expression(window.start_offset.as_deref())?;
        self.expression(window.end_offset.as_deref())
    }
}
