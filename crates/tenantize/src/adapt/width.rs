//! How many columns a query gives, as far as that is known without asking the server.

use pg_query::{NodeEnum, protobuf as pb};

use super::Adapter;
use super::row::Row;
use super::row_star::is_any_star;
use super::shadow::Shadow;
use super::source::{MOST_COLUMNS, Source, Sources};
use super::star::star;
use crate::tree;

impl<'a> Adapter<'a> {
    pub(super) fn width(&mut self, query: &'a pb::Node) -> Option<usize> {
        match query.node.as_ref()? {
            NodeEnum::SelectStmt(select) => self.select_width(select),
            NodeEnum::InsertStmt(insert) => {
                let returned = insert.returning_clause.as_ref()?;
                self.under(insert.with_clause.as_ref(), |this| {
                    let sources = this.written_sources(insert.relation.as_ref(), []);
                    this.targets_width(&returned.exprs, &sources)
                })
            }
            NodeEnum::UpdateStmt(update) => {
                let returned = update.returning_clause.as_ref()?;
                self.under(update.with_clause.as_ref(), |this| {
                    let sources = this.written_sources(update.relation.as_ref(), &update.from_clause);
                    this.targets_width(&returned.exprs, &sources)
                })
            }
            NodeEnum::DeleteStmt(delete) => {
                let returned = delete.returning_clause.as_ref()?;
                self.under(delete.with_clause.as_ref(), |this| {
                    let sources = this.written_sources(delete.relation.as_ref(), &delete.using_clause);
                    this.targets_width(&returned.exprs, &sources)
                })
            }
            _ => None,
        }
    }

    /// Makes a WITH query visible, which sees those that are visible by now.
    pub(super) fn declare(&mut self, cte: &'a pb::CommonTableExpr) {
        let query = cte.ctequery.as_deref().filter(|_| self.shared());
        let width = query.and_then(|query| self.width(query));
        self.shadows.push(Shadow { name: &cte.ctename, width });
    }

    /// With RECURSIVE, all of a clause's queries see each other and themselves.
    pub(super) fn announce(&mut self, clause: &'a pb::WithClause) {
        if clause.recursive {
            queries(clause).for_each(|cte| self.shadows.push(Shadow { name: &cte.ctename, width: None }));
        }
    }

    /// What `count` says where a WITH clause's queries are visible.
    fn under(
        &mut self,
        clause: Option<&'a pb::WithClause>,
        count: impl FnOnce(&mut Self) -> Option<usize>,
    ) -> Option<usize> {
        let visible = self.shadows.len();
        if let Some(clause) = clause {
            self.announce(clause);
            queries(clause).for_each(|cte| self.declare(cte));
        }
        let counted = count(self);
        self.shadows.truncate(visible);
        counted
    }

    fn select_width(&mut self, select: &'a pb::SelectStmt) -> Option<usize> {
        self.under(select.with_clause.as_ref(), |this| {
            if let Some(arm) = select.larg.as_deref() {
                return this.select_width(arm);
            }
            if let Some(row) = select.values_lists.first() {
                return match &row.node {
                    Some(NodeEnum::List(row)) => this.values_width(&row.items),
                    _ => None,
                };
            }
            let sources = this.sources(&select.from_clause);
            this.targets_width(&select.target_list, &sources)
        })
    }

    fn targets_width(&mut self, targets: &'a [pb::Node], sources: &Sources<'a>) -> Option<usize> {
        if targets.len() > MOST_COLUMNS {
            return None;
        }
        // Of every source once, however many stars mean it: queries in FROM hold others.
        let mut widths: Option<Vec<Option<usize>>> = None;
        let mut total: usize = 0;
        for target in targets {
            let Some(NodeEnum::ResTarget(target)) = &target.node else { return None };
            if let Some(value) = target.val.as_deref()
                && is_any_star(value)
                && let Some(row) = self.row_starred(value, Some(sources))
            {
                let Row::Of(table) = row else { return None };
                total = total.checked_add(table.columns.len()).filter(|total| *total <= MOST_COLUMNS)?;
                continue;
            }
            let more = match star(target).map(|column| column.fields.as_slice()) {
                None if target.val.as_deref().is_some_and(is_any_star) => return None,
                None => 1,
                Some([_]) if sources.tangled => return None,
                Some(fields) => {
                    let widths = widths
                        .get_or_insert_with(|| sources.list.iter().map(|source| self.source_width(source)).collect());
                    match fields {
                        [_] => widths.iter().try_fold(0, |sum: usize, width| sum.checked_add((*width)?))?,
                        [.., table, _] => (*widths.get(sources.position(tree::string(table)?)?)?)?,
                        [] => return None,
                    }
                }
            };
            total = total.checked_add(more).filter(|total| *total <= MOST_COLUMNS)?;
        }
        Some(total)
    }

    fn source_width(&mut self, source: &Source<'a>) -> Option<usize> {
        match (&source.columns, source.query) {
            (Some(columns), _) => Some(columns.len()),
            (None, Some(query)) => self.width(query),
            (None, None) => source.width,
        }
    }
}

/// The queries of a WITH clause.
pub(super) fn queries(clause: &pb::WithClause) -> impl Iterator<Item = &pb::CommonTableExpr> {
    clause.ctes.iter().filter_map(|cte| match &cte.node {
        Some(NodeEnum::CommonTableExpr(cte)) => Some(cte.as_ref()),
        _ => None,
    })
}
