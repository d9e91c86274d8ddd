//! What the columns of a query are called, stars resolved: those that stand for more columns where tenants share tables
//! are written out.

use pg_query::{NodeEnum, protobuf as pb};

use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::rule::refused;
use crate::schema::Schema;
use crate::{name, tree};

/// Resolves queries one in another.
pub(super) struct Resolver<'a> {
    schema: &'a Schema,
    /// WITH queries that are visible, with their columns.
    with: Vec<(String, Option<Vec<String>>)>,
}

/// A column, by the name to qualify it with, if it has one.
type Column = (Option<String>, String);

/// Rows in a FROM clause.
struct Rows {
    /// Their columns, each by the name to qualify it with, if it has one; `None` if they are not known.
    columns: Option<Vec<Column>>,
    /// Whether `*` would give `tenant_id` with them.
    shared: bool,
    /// What they are made of, by name.
    parts: Vec<(String, Option<Vec<String>>, bool)>,
}

impl<'a> Resolver<'a> {
    /// `itself` is the view, which a recursive one reads.
    pub(super) fn new(schema: &'a Schema, itself: (String, Option<Vec<String>>)) -> Self {
        Self { schema, with: vec![itself] }
    }

    /// The names of a query's columns; `None` if they cannot be known without the server.
    pub(super) fn select(&mut self, select: &mut pb::SelectStmt) -> Verdict<Option<Vec<String>>> {
        let visible = self.with.len();
        if let Some(with) = &mut select.with_clause {
            self.with(with)?;
        }
        let columns = match (&mut select.larg, &mut select.rarg) {
            (Some(left), Some(right)) => {
                let columns = self.select(left)?;
                self.select(right)?;
                columns
            }
            _ => match select.values_lists.first().and_then(|row| row.node.as_ref()) {
                Some(NodeEnum::List(row)) => Some((1..=row.items.len()).map(|nth| format!("column{nth}")).collect()),
                _ => self.targets(select)?,
            },
        };
        self.with.truncate(visible);
        Ok(columns)
    }

    fn with(&mut self, with: &mut pb::WithClause) -> Verdict<()> {
        for cte in &mut with.ctes {
            let Some(NodeEnum::CommonTableExpr(cte)) = &mut cte.node else { return Err(refused::nothing()) };
            let named = tree::strings(&cte.aliascolnames);
            if with.recursive {
                self.with.push((cte.ctename.clone(), (!named.is_empty()).then(|| named.clone())));
            }
            let mut columns = match cte.ctequery.as_deref_mut().and_then(|query| query.node.as_mut()) {
                Some(NodeEnum::SelectStmt(query)) => self.select(query)?,
                _ => None,
            };
            rename(&mut columns, named);
            self.with.push((cte.ctename.clone(), columns));
        }
        Ok(())
    }

    fn targets(&mut self, select: &mut pb::SelectStmt) -> Verdict<Option<Vec<String>>> {
        let mut sources = Vec::new();
        for item in &mut select.from_clause {
            sources.push(self.rows(item)?);
        }
        let (mut names, mut targets) = (Some(Vec::new()), Vec::new());
        for node in std::mem::take(&mut select.target_list) {
            let Some(NodeEnum::ResTarget(target)) = &node.node else { return Err(refused::nothing()) };
            let value = target.val.as_deref().ok_or_else(refused::nothing)?;
            if !tree::is_star(value) {
                let name = if target.name.is_empty() { name::of_result(value) } else { target.name.clone() };
                if let Some(names) = &mut names {
                    names.push(name);
                }
                targets.push(node);
                continue;
            }
            let (columns, shared) = meant(value, &sources);
            match (&columns, shared) {
                (None, true) => {
                    return Err(Fault::new(
                        "* cannot be resolved here, and where tenants share tables it would include tenant_id",
                        "list the columns",
                    ));
                }
                (Some(columns), true) => targets.extend(columns.iter().map(reference)),
                (_, false) => targets.push(node),
            }
            names = names.zip(columns).map(|(mut names, columns): (Vec<String>, _)| {
                names.extend(columns.into_iter().map(|(_, column)| column));
                names
            });
        }
        select.target_list = targets;
        Ok(names)
    }

    fn rows(&mut self, item: &mut pb::Node) -> Verdict<Rows> {
        match &mut item.node {
            Some(NodeEnum::RangeVar(relation)) => Ok(self.relation(relation)),
            Some(NodeEnum::JoinExpr(join)) => self.join(join),
            Some(NodeEnum::RangeSubselect(sub)) => {
                let columns = match sub.subquery.as_deref_mut().and_then(|query| query.node.as_mut()) {
                    Some(NodeEnum::SelectStmt(query)) => self.select(query)?,
                    _ => None,
                };
                Ok(aliased(columns, sub.alias.as_ref(), None, false))
            }
            Some(NodeEnum::RangeFunction(function)) => {
                let defined = function.coldeflist.iter().filter_map(|node| match &node.node {
                    Some(NodeEnum::ColumnDef(column)) => Some(column.colname.clone()),
                    _ => None,
                });
                let defined: Vec<String> = defined.collect();
                let columns = if defined.is_empty() { self.of_function(function) } else { Some(defined) };
                Ok(aliased(columns, function.alias.as_ref(), None, false))
            }
            _ => Ok(aliased(None, None, None, false)),
        }
    }

    fn relation(&self, relation: &pb::RangeVar) -> Rows {
        let name = Some(relation.relname.as_str());
        let alias = relation.alias.as_ref();
        if let Some((_, columns)) = self.with.iter().rev().find(|(with, _)| Some(with.as_str()) == name) {
            return aliased(columns.clone(), alias, name, false);
        }
        match self.schema.rows_of(&relation.relname) {
            Ok(table) => {
                let is_view = self.schema.objects.find_view(&table.name).is_some();
                let columns = table.column_names().map(str::to_owned).collect();
                aliased(Some(columns), alias, name, table.scope == Scope::Tenant && !is_view)
            }
            Err(_) => aliased(None, alias, name, false),
        }
    }

    /// The columns of what functions in FROM give, if they are the app's and say so.
    fn of_function(&self, function: &pb::RangeFunction) -> Option<Vec<String>> {
        let [only] = function.functions.as_slice() else { return None };
        let Some(NodeEnum::List(list)) = &only.node else { return None };
        let Some(NodeEnum::FuncCall(call)) = list.items.first().and_then(|call| call.node.as_ref()) else {
            return None;
        };
        let name = call.funcname.last().and_then(tree::string)?;
        let mut routines = self.schema.objects.routines_called(name);
        let columns = routines.next()?.columns.clone()?;
        routines.next().is_none().then_some(columns)
    }

    fn join(&mut self, join: &mut pb::JoinExpr) -> Verdict<Rows> {
        let mut arm = |side: &mut Option<Box<pb::Node>>| side.as_deref_mut().map(|side| self.rows(side)).transpose();
        let (Some(left), Some(right)) = (arm(&mut join.larg)?, arm(&mut join.rarg)?) else {
            return Err(refused::nothing());
        };
        let shared = left.shared || right.shared;
        let mut parts = left.parts;
        parts.extend(right.parts);
        let columns = left.columns.zip(right.columns).map(|(left, right)| {
            let merged: Vec<String> = if join.is_natural {
                let common = |column: &&Column| right.iter().any(|(_, other)| *other == column.1);
                left.iter().filter(common).map(|(_, column)| column.clone()).collect()
            } else {
                tree::strings(&join.using_clause)
            };
            let rest = left.into_iter().chain(right).filter(|(_, column)| !merged.contains(column));
            let rest: Vec<_> = rest.collect();
            merged.iter().map(|column| (None, column.clone())).chain(rest).collect()
        });
        match &join.alias {
            None => Ok(Rows { columns, shared, parts }),
            Some(_) if shared => Err(Fault::unsupported("an alias of a whole join", "use its tables' own aliases")),
            Some(alias) => {
                let names = columns.map(|columns: Vec<Column>| columns.into_iter().map(|(_, c)| c).collect());
                Ok(aliased(names, Some(alias), None, false))
            }
        }
    }
}

/// Rows under a name, perhaps with other names for their columns.
fn aliased(columns: Option<Vec<String>>, alias: Option<&pb::Alias>, name: Option<&str>, shared: bool) -> Rows {
    let mut columns = columns;
    let renamed = alias.map(|alias| tree::strings(&alias.colnames)).unwrap_or_default();
    rename(&mut columns, renamed);
    let name = alias.map(|alias| alias.aliasname.as_str()).or(name).map(str::to_owned);
    let qualified = columns.clone().map(|columns| columns.into_iter().map(|column| (name.clone(), column)).collect());
    let parts = name.map(|name| (name, columns, shared)).into_iter().collect();
    Rows { columns: qualified, shared, parts }
}

fn rename(columns: &mut Option<Vec<String>>, names: Vec<String>) {
    if let Some(columns) = columns {
        for (column, name) in columns.iter_mut().zip(names) {
            *column = name;
        }
    }
}

/// The columns that a star means, and whether `tenant_id` would be one of them.
fn meant(star: &pb::Node, sources: &[Rows]) -> (Option<Vec<Column>>, bool) {
    let Some(NodeEnum::ColumnRef(star)) = &star.node else { return (None, false) };
    let Some(of) = star.fields.iter().rev().nth(1).and_then(tree::string) else {
        let columns = sources.iter().map(|rows| rows.columns.clone()).collect::<Option<Vec<_>>>();
        return (columns.map(|columns| columns.concat()), sources.iter().any(|rows| rows.shared));
    };
    let part = sources.iter().flat_map(|rows| &rows.parts).find(|(name, ..)| name == of);
    let Some((name, columns, shared)) = part else { return (None, false) };
    let qualified = |columns: &Vec<String>| columns.iter().map(|column| (Some(name.clone()), column.clone())).collect();
    (columns.as_ref().map(qualified), *shared)
}

fn reference((table, column): &Column) -> pb::Node {
    let fields = table.iter().chain([column]).map(tree::name).collect();
    let column = pb::ColumnRef { fields, location: -1 };
    let val = Some(Box::new(tree::node(NodeEnum::ColumnRef(column))));
    tree::node(NodeEnum::ResTarget(Box::new(pb::ResTarget { val, ..pb::ResTarget::default() })))
}
