//! FROM and USING.

use pg_query::{NodeEnum, protobuf as pb};

use super::dml::Reader;
use super::refused;
use crate::expr;
use crate::refusal::{Fault, Verdict};

impl Reader<'_> {
    /// Reads what rows come from.
    pub(super) fn from(&mut self, items: &mut [pb::Node]) -> Verdict<()> {
        items.iter_mut().try_for_each(|item| self.source_of_rows(item))
    }

    fn source_of_rows(&mut self, item: &mut pb::Node) -> Verdict<()> {
        match &mut item.node {
            Some(NodeEnum::RangeVar(relation)) => self.read(relation),
            // Its columns by position, and its whole row, have the tenant_id of every table in it.
            Some(NodeEnum::JoinExpr(join)) if join.alias.is_some() => {
                Err(Fault::unsupported("an alias of a whole join", "leave it out, and use its tables' own aliases"))
            }
            Some(NodeEnum::JoinExpr(join)) => {
                for arm in [&mut join.larg, &mut join.rarg].into_iter().flatten() {
                    self.source_of_rows(arm)?;
                }
                expr::walk_all(&mut join.using_clause, self)?;
                expr::walk_opt(&mut join.quals, self)
            }
            Some(NodeEnum::RangeSubselect(sub)) => {
                self.unknown = true;
                let query = sub.subquery.as_deref_mut().ok_or_else(refused::nothing)?;
                expr::Place::query(self, query)
            }
            // Each member is a list: the call, and the columns it is said to give.
            Some(NodeEnum::RangeFunction(function)) => {
                (self.alone, self.unknown) = (false, true);
                self.column_definitions(&mut function.coldeflist)?;
                for member in &mut function.functions {
                    let Some(NodeEnum::List(member)) = &mut member.node else { return Err(refused::nothing()) };
                    let Some((call, columns)) = member.items.split_first_mut() else { continue };
                    expr::walk(call, self)?;
                    for list in columns {
                        if let Some(NodeEnum::List(list)) = &mut list.node {
                            self.column_definitions(&mut list.items)?;
                        }
                    }
                }
                Ok(())
            }
            _ => Err(Fault::unsupported("this in FROM", "use tables, sub-queries, joins and functions")),
        }
    }

    fn column_definitions(&self, columns: &mut [pb::Node]) -> Verdict<()> {
        for column in columns {
            let Some(NodeEnum::ColumnDef(column)) = &mut column.node else { return Err(refused::nothing()) };
            if let Some(type_name) = &mut column.type_name {
                expr::check_type(type_name, |name| self.schema.find(name).is_some())?;
            }
        }
        Ok(())
    }
}
