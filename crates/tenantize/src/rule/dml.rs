//! INSERT, UPDATE and DELETE: the seed, and rows of `global` tables in migrations.
//!
//! Row-level security and the default of `tenant_id` do most of the work. Rewritten are the places where a statement
//! depends on which columns a table or key has: `ON CONFLICT (…)`, and INSERT without a list of columns.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, Rows, Sql, refused, unqualify};
use crate::expr::{self, Place, tenant_id_mentioned};
use crate::plan::{Filled, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Column, Schema, Table};
use crate::tree;

pub(super) fn apply(statement: &pb::Node, schema: &Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    // Nobody sees what the statement itself returns.
    match &mut own.node {
        Some(NodeEnum::InsertStmt(insert)) => insert.returning_clause = None,
        Some(NodeEnum::UpdateStmt(update)) => update.returning_clause = None,
        Some(NodeEnum::DeleteStmt(delete)) => delete.returning_clause = None,
        _ => {}
    }
    let mut shared = own.clone();
    let mut reader = Reader::new(schema, false);
    reader.statement(&mut own)?;
    if let (Some(NodeEnum::SelectStmt(_)), true) = (&own.node, reader.writes.is_empty())
        && !reader.has_effect(statement)
    {
        return without_effect(statement, schema);
    }
    let scope = reader.scope()?;
    Reader::new(schema, true).statement(&mut shared)?;
    Ok(Rewrite {
        shared: vec![Sql::Tree(Box::new(shared))],
        own: vec![Sql::Tree(Box::new(own))],
        rows: Some(rows(statement, schema)),
        ..Rewrite::nothing(scope)
    })
}

/// A query that calls nothing of the app's and writes nothing.
fn without_effect(statement: &pb::Node, schema: &Schema) -> Verdict<Rewrite> {
    // What asks and does nothing else.
    const ASKING: [&str; 14] = [
        "version",
        "now",
        "count",
        "current_setting",
        "current_database",
        "current_schema",
        "coalesce",
        "max",
        "min",
        "sum",
        "to_regclass",
        "pg_typeof",
        "upper",
        "lower",
    ];
    let calls = tree::functions_called(statement);
    if calls.iter().any(|name| schema.is_broken(name)) {
        return Err(Fault::echo());
    }
    let relations = tree::relations(statement);
    if relations.iter().any(|(_, name)| schema.objects.find_view(name).is_some()) {
        return Err(Fault::unsupported("a query of a view", "remove it: nobody would see what it returns"));
    }
    match calls.iter().find(|name| !ASKING.contains(&name.as_str())) {
        None => Ok(Rewrite::dropped("it changes nothing, and nobody would see what it returns")),
        Some(name) => Err(Fault::unsupported(
            format!("a query that changes no rows and calls the function {name}, which is none of the app's,"),
            "remove it if it is there for its answer: nobody would see that; an extension that it belongs to is not \
             available to apps",
        )),
    }
}

/// Which rows a statement is about, for their order.
fn rows(statement: &pb::Node, schema: &Schema) -> Rows {
    let calls = tree::functions_called(statement);
    // A routine of the app's may read and write anything.
    if calls.iter().any(|name| schema.objects.routines_called(name).next().is_some()) {
        return Rows::Written;
    }
    match &statement.node {
        Some(NodeEnum::InsertStmt(insert)) => inserted(statement, insert, schema).map_or(Rows::Written, |table| {
            if calls.iter().any(|name| ["nextval", "currval", "lastval", "setval"].contains(&name.as_str())) {
                Rows::Calling(table.name.clone())
            } else if draws(table, &given(insert, table)) {
                Rows::Drawn(table.name.clone())
            } else {
                Rows::Inserted(table.name.clone())
            }
        }),
        Some(NodeEnum::SelectStmt(_)) if calls.iter().any(|name| name == "setval") => Rows::Counter,
        _ => Rows::Written,
    }
}

/// The table that an INSERT of nothing but values is about.
fn inserted<'a>(statement: &pb::Node, insert: &pb::InsertStmt, schema: &'a Schema) -> Option<&'a Table> {
    if insert.with_clause.is_some() || insert.on_conflict_clause.is_some() || tree::relations(statement).len() != 1 {
        return None;
    }
    values(insert)?;
    schema.find(&insert.relation.as_ref()?.relname)
}

pub(super) fn values(insert: &pb::InsertStmt) -> Option<&[pb::Node]> {
    match insert.select_stmt.as_deref()?.node.as_ref()? {
        NodeEnum::SelectStmt(select) if !select.values_lists.is_empty() => Some(&select.values_lists),
        _ => None,
    }
}

/// The columns that have a value in every row.
pub(super) fn given(insert: &pb::InsertStmt, table: &Table) -> Vec<String> {
    let rows: Vec<&[pb::Node]> = { values(insert).into_iter().flatten() }
        .filter_map(|row| match &row.node {
            Some(NodeEnum::List(row)) => Some(row.items.as_slice()),
            _ => None,
        })
        .collect();
    let columns: Vec<String> = if insert.cols.is_empty() {
        table.column_names().map(str::to_owned).collect()
    } else {
        { insert.cols.iter() }
            .filter_map(|node| match &node.node {
                Some(NodeEnum::ResTarget(target)) => Some(target.name.clone()),
                _ => None,
            })
            .collect()
    };
    let has = |row: &&[pb::Node], nth: usize| {
        row.get(nth).is_some_and(|value| !matches!(value.node, Some(NodeEnum::SetToDefault(_))))
    };
    let user = insert.r#override() == pb::OverridingKind::OverridingUserValue;
    let identity = |name: &String| table.columns.iter().any(|column| column.identity && column.name == *name);
    let nth = columns.into_iter().enumerate().filter(|(nth, _)| rows.iter().all(|row| has(row, *nth)));
    nth.map(|(_, name)| name).filter(|name| !(user && identity(name))).collect()
}

/// Whether a row with values for these columns only draws numbers for others.
pub(super) fn draws(table: &Table, given: &[String]) -> bool {
    let numbered = |column: &&Column| {
        !column.draws.is_empty() || matches!(column.filled, Filled::Sequence | Filled::AlwaysSequence)
    };
    table.columns.iter().filter(numbered).any(|column| !given.contains(&column.name))
}

/// CALL of a procedure of the app's.
pub(super) fn call(statement: &pb::CallStmt, schema: &Schema) -> Verdict<Rewrite> {
    let mut called = statement.clone();
    let call = called.funccall.as_deref_mut().ok_or_else(refused::nothing)?;
    let name = super::own_name(&mut call.funcname)?;
    if schema.objects.routines_called(&name).next().is_none() {
        return Err(schema.objects.unknown("procedure", &name));
    }
    let mut reader = Reader::new(schema, false);
    expr::walk_all(&mut call.args, &mut reader)?;
    let rewrite = Rewrite::alike(Scope::Tenant, NodeEnum::CallStmt(Box::new(called)));
    Ok(Rewrite { rows: Some(Rows::Written), ..rewrite })
}

/// Reads one statement with everything in it, and notes what it touches.
pub(super) struct Reader<'a> {
    pub(super) schema: &'a Schema,
    /// Whether to rewrite for shared tables.
    shared: bool,
    /// Names of WITH queries that are visible at this point.
    ctes: Vec<String>,
    reads: Vec<&'a Table>,
    writes: Vec<&'a Table>,
    /// Columns mentioned without a table.
    pub(super) bare: Vec<String>,
    /// Tables by the names that columns are qualified with.
    pub(super) named: Vec<(String, &'a Table)>,
    /// Columns with what they are qualified by.
    pub(super) qualified: Vec<(String, String)>,
    /// Names that queries give their values.
    pub(super) given: Vec<String>,
    /// Whether rows may have columns that are not known here: those of WITH queries, sub-queries, functions and views.
    pub(super) unknown: bool,
    /// Whether rows come from tables only, and not from WITH queries, sub-queries and functions.
    pub(super) alone: bool,
    /// Names under which tenants' tables may be mentioned as a whole row.
    rows: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(schema: &'a Schema, shared: bool) -> Self {
        Self {
            schema,
            shared,
            ctes: vec![],
            reads: vec![],
            writes: vec![],
            bare: vec![],
            alone: true,
            rows: vec![],
            named: vec![],
            qualified: vec![],
            given: vec![],
            unknown: false,
        }
    }

    fn scope(&self) -> Verdict<Scope> {
        let whole_row = self.rows.iter().find(|row| self.bare.contains(row) && !self.is_column(row));
        if let Some(row) = whole_row {
            return Err(Fault::new(
                format!("{row} means whole rows, which have tenant_id where tenants share tables"),
                "name the columns",
            ));
        }
        // With one table a column that is not its own is nobody's.
        if let ([table], [], true) = (self.writes.as_slice(), self.reads.as_slice(), self.alone)
            && let Some(column) = self.bare.iter().find(|column| !table.has_column(column))
        {
            table.column(column)?;
        }
        self.columns_are_there()?;
        let tenants = |tables: &[&'a Table]| tables.iter().find(|table| table.scope == Scope::Tenant).copied();
        let global = self.writes.iter().find(|table| table.scope == Scope::Global);
        match (global, tenants(&self.writes)) {
            (Some(global), Some(tenant)) => Err(Fault::new(
                format!("the statement writes {}, which is global, and {}", global.name, tenant.name),
                "write two statements: one runs once, the other once per tenant",
            )),
            (Some(global), None) => tenants(&self.reads).map_or(Ok(Scope::Global), |read| {
                Err(Fault::new(
                    format!("rows of {}, which is global, cannot depend on rows of {}", global.name, read.name),
                    "take them from global tables, or write them out",
                ))
            }),
            (None, _) => Ok(Scope::Tenant),
        }
    }

    /// Whether a query calls something that may change rows or sequences.
    fn has_effect(&self, statement: &pb::Node) -> bool {
        let calls = tree::functions_called(statement);
        calls.iter().any(|name| name == "setval" || self.schema.objects.routines_called(name).next().is_some())
    }

    fn is_column(&self, name: &str) -> bool {
        self.reads.iter().chain(&self.writes).any(|table| table.has_column(name))
    }

    fn statement(&mut self, node: &mut pb::Node) -> Verdict<()> {
        let visible = self.ctes.len();
        match &mut node.node {
            Some(NodeEnum::InsertStmt(insert)) => self.insert(insert),
            Some(NodeEnum::UpdateStmt(update)) => self.update(update),
            Some(NodeEnum::DeleteStmt(delete)) => self.delete(delete),
            Some(NodeEnum::SelectStmt(select)) => self.select(select),
            Some(other) => Err(refused::statement(other)),
            None => Err(refused::nothing()),
        }?;
        self.ctes.truncate(visible);
        Ok(())
    }

    fn insert(&mut self, insert: &mut pb::InsertStmt) -> Verdict<()> {
        self.with(insert.with_clause.as_mut())?;
        let table = self.write(insert.relation.as_mut())?;
        check_targets(&mut insert.cols, table)?;
        self.is_complete(insert, table)?;
        if insert.cols.is_empty()
            && let Some(NodeEnum::SelectStmt(select)) = insert.select_stmt.as_deref().and_then(|s| s.node.as_ref())
        {
            insert.cols = self.columns_in_order(table, width(select))?;
        }
        for target in &mut insert.cols {
            if let Some(NodeEnum::ResTarget(target)) = &mut target.node {
                expr::walk_all(&mut target.indirection, self)?;
            }
        }
        if let Some(query) = insert.select_stmt.as_deref_mut() {
            self.statement(query)?;
        }
        if let Some(conflict) = insert.on_conflict_clause.as_deref_mut() {
            self.on_conflict(conflict, table)?;
        }
        self.returning(insert.returning_clause.as_mut())
    }

    /// Where tables are shared a column added later comes after `tenant_id`, so that position means another column.
    fn columns_in_order(&self, table: &Table, width: usize) -> Verdict<Vec<pb::Node>> {
        if width > table.columns.len() {
            return Err(Fault::new(
                format!("there are {width} values for the {} columns of {}", table.columns.len(), table.name),
                "name the columns in INSERT INTO, and give each one value",
            ));
        }
        if !self.shared || table.scope == Scope::Global {
            return Ok(Vec::new());
        }
        let target = |name: &str| pb::ResTarget { name: name.to_owned(), ..pb::ResTarget::default() };
        let names = table.column_names().take(width);
        Ok(names.map(|name| tree::node(NodeEnum::ResTarget(Box::new(target(name))))).collect())
    }

    fn on_conflict(&mut self, conflict: &mut pb::OnConflictClause, table: &Table) -> Verdict<()> {
        if table.scope == Scope::Tenant {
            self.rows.push("excluded".to_owned());
        }
        self.named.extend(self.schema.find(&table.name).map(|table| ("excluded".to_owned(), table)));
        if let Some(infer) = conflict.infer.as_deref_mut() {
            for element in &mut infer.index_elems {
                let Some(NodeEnum::IndexElem(element)) = &mut element.node else { continue };
                if !element.name.is_empty() {
                    table.column(&element.name)?;
                }
                expr::unqualify(&mut element.opclass, "the operator class")?;
                expr::unqualify(&mut element.collation, "the collation")?;
                expr::walk_opt(&mut element.expr, self)?;
            }
            expr::walk_opt(&mut infer.where_clause, self)?;
            if !infer.conname.is_empty() && !table.keys.iter().any(|key| key.name == infer.conname) {
                return Err(Fault::new(
                    format!("table {} has no unique constraint {}", table.name, infer.conname),
                    "correct the name, or list the columns: ON CONFLICT (…)",
                ));
            }
            if self.shared && table.scope == Scope::Tenant && !infer.index_elems.is_empty() {
                infer.index_elems.insert(0, tree::tenant_index_element());
            }
        }
        check_targets(&mut conflict.target_list, table)?;
        self.targets(&mut conflict.target_list)?;
        expr::walk_opt(&mut conflict.where_clause, self)
    }

    fn update(&mut self, update: &mut pb::UpdateStmt) -> Verdict<()> {
        self.with(update.with_clause.as_mut())?;
        let table = self.write(update.relation.as_mut())?;
        check_targets(&mut update.target_list, table)?;
        self.from(&mut update.from_clause)?;
        self.targets(&mut update.target_list)?;
        expr::walk_opt(&mut update.where_clause, self)?;
        self.returning(update.returning_clause.as_mut())
    }

    fn delete(&mut self, delete: &mut pb::DeleteStmt) -> Verdict<()> {
        self.with(delete.with_clause.as_mut())?;
        self.write(delete.relation.as_mut())?;
        self.from(&mut delete.using_clause)?;
        expr::walk_opt(&mut delete.where_clause, self)?;
        self.returning(delete.returning_clause.as_mut())
    }

    pub(super) fn select(&mut self, select: &mut pb::SelectStmt) -> Verdict<()> {
        if select.into_clause.is_some() {
            return Err(Fault::unsupported("SELECT INTO", "create the table in migrations/ and use INSERT … SELECT"));
        }
        if !select.locking_clause.is_empty() {
            return Err(Fault::unsupported("FOR UPDATE or FOR SHARE", "leave it out: nobody else writes yet"));
        }
        let visible = self.ctes.len();
        self.with(select.with_clause.as_mut())?;
        for arm in [&mut select.larg, &mut select.rarg].into_iter().flatten() {
            self.select(arm)?;
        }
        self.from(&mut select.from_clause)?;
        self.targets(&mut select.target_list)?;
        for list in [
            &mut select.distinct_clause,
            &mut select.group_clause,
            &mut select.window_clause,
            &mut select.values_lists,
            &mut select.sort_clause,
        ] {
            expr::walk_all(list, self)?;
        }
        for part in
            [&mut select.where_clause, &mut select.having_clause, &mut select.limit_offset, &mut select.limit_count]
        {
            expr::walk_opt(part, self)?;
        }
        self.ctes.truncate(visible);
        Ok(())
    }

    fn with(&mut self, with: Option<&mut pb::WithClause>) -> Verdict<()> {
        let Some(with) = with else { return Ok(()) };
        (self.alone, self.unknown) = (false, true);
        let names: Vec<String> = with.ctes.iter().filter_map(cte_name).collect();
        if with.recursive {
            self.ctes.extend(names.iter().cloned());
        }
        for (cte, name) in with.ctes.iter_mut().zip(names) {
            let Some(NodeEnum::CommonTableExpr(cte)) = &mut cte.node else { return Err(refused::nothing()) };
            if cte.search_clause.is_some() || cte.cycle_clause.is_some() {
                return Err(Fault::unsupported("SEARCH or CYCLE", "collect the path in a column of the query"));
            }
            if let Some(query) = cte.ctequery.as_deref_mut() {
                self.statement(query)?;
            }
            if !with.recursive {
                self.ctes.push(name);
            }
        }
        Ok(())
    }

    fn targets(&mut self, targets: &mut [pb::Node]) -> Verdict<()> {
        for target in targets {
            let Some(NodeEnum::ResTarget(target)) = &mut target.node else { return Err(refused::nothing()) };
            self.given.push(target.name.clone());
            expr::walk_all(&mut target.indirection, self)?;
            expr::walk_opt(&mut target.val, self)?;
        }
        Ok(())
    }

    fn returning(&mut self, returning: Option<&mut pb::ReturningClause>) -> Verdict<()> {
        let Some(returning) = returning else { return Ok(()) };
        if !returning.options.is_empty() {
            return Err(Fault::unsupported("RETURNING WITH", "leave it out: PostgreSQL 15 does not have it"));
        }
        self.targets(&mut returning.exprs)
    }

    fn write(&mut self, relation: Option<&mut pb::RangeVar>) -> Verdict<&'a Table> {
        let relation = relation.ok_or_else(refused::nothing)?;
        let table = self.known(relation)?;
        self.writes.push(table);
        Ok(table)
    }

    /// A table in FROM, which a WITH query of the same name hides.
    pub(super) fn read(&mut self, relation: &mut pb::RangeVar) -> Verdict<()> {
        let named_like_cte = self.ctes.contains(&relation.relname);
        if named_like_cte && relation.schemaname == "public" {
            return Err(Fault::new(
                format!("{} is both a table and a WITH query here", relation.relname),
                "rename the WITH query",
            ));
        }
        if !(named_like_cte && relation.schemaname.is_empty()) {
            let table = self.known(relation)?;
            self.reads.push(table);
        }
        Ok(())
    }

    fn known(&mut self, relation: &mut pb::RangeVar) -> Verdict<&'a Table> {
        unqualify(relation)?;
        let table = self.schema.rows_of(&relation.relname)?;
        let alias = relation.alias.as_ref().map_or(&relation.relname, |alias| &alias.aliasname);
        self.named.push((alias.clone(), table));
        // What a view has is known roughly, and a list after the alias gives columns other names.
        self.unknown |= self.schema.objects.find_view(&relation.relname).is_some()
            || relation.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty());
        if table.scope == Scope::Tenant {
            // By position tenant_id would get one of the names, and a column added after it another's.
            if relation.alias.as_ref().is_some_and(|alias| !alias.colnames.is_empty()) {
                return Err(Fault::unsupported(
                    "a list of column names after a table's alias",
                    "leave it out, and use the columns' own names",
                ));
            }
            self.rows.push(alias.clone());
        }
        Ok(table)
    }
}

impl Place for Reader<'_> {
    fn column(&mut self, table: Option<&str>, column: &str) -> Verdict<()> {
        match table {
            None => self.bare.push(column.to_owned()),
            Some(table) => self.qualified.push((table.to_owned(), column.to_owned())),
        }
        Ok(())
    }

    fn query(&mut self, query: &mut pb::Node) -> Verdict<()> {
        self.alone = false;
        self.statement(query)
    }

    fn is_table(&self, name: &str) -> bool {
        self.schema.find(name).is_some()
    }
}

/// Fails for assignments to columns that the table does not have.
fn check_targets(targets: &mut [pb::Node], table: &Table) -> Verdict<()> {
    for target in targets {
        let Some(NodeEnum::ResTarget(target)) = &target.node else { return Err(refused::nothing()) };
        if target.name == tree::TENANT_ID {
            return Err(tenant_id_mentioned());
        }
        table.column(&target.name)?;
    }
    Ok(())
}

fn cte_name(node: &pb::Node) -> Option<String> {
    match &node.node {
        Some(NodeEnum::CommonTableExpr(cte)) => Some(cte.ctename.clone()),
        _ => None,
    }
}

/// How many columns a query gives; exact, since `*` is refused.
fn width(select: &pb::SelectStmt) -> usize {
    if let Some(arm) = &select.larg {
        return width(arm);
    }
    match select.values_lists.first().and_then(|row| row.node.as_ref()) {
        Some(NodeEnum::List(row)) => row.items.len(),
        _ => select.target_list.len(),
    }
}
