//! DML as an isolation needs it: changes of a statement's text, placed by PostgreSQL's own parse tree.
//!
//! Everything but the changed words stays byte by byte what the app or its client wrote: parameters, comments, layout.
//! [`statement`] gives the changes for a text and the statements parsed from it (`pg_query::parse(text)` gives them as
//! `.protobuf.stmts`); an empty list says that the text runs as it is. [`edit::written`] makes them where the tenant is
//! known or has a stand-in, [`edit::apply`] where it is not yet.
//!
//! No boundary rests on this. It is here so that the same text gives the same results in every isolation, so what it
//! does not understand it leaves alone: unknown tables, names that a WITH query shadows, kinds of expressions that no
//! rule is about. What must not run is a [`crate::refusal::Fault`].

use domain::Isolation;
use pg_query::{NodeEnum, protobuf as pb};

use crate::plan::Scope;
use crate::refusal::Verdict;
use crate::schema::{Schema, Table};
use crate::tree::TENANT_ID;

pub(crate) mod edit;
pub(crate) mod model;

mod budget;
mod channel;
mod copy;
mod expression;
mod group_by;
mod insert;
mod on_conflict;
mod qualifier;
mod query;
mod refused;
pub(crate) mod row;
mod row_cast;
mod row_star;
mod sequence;
mod setting;
mod shadow;
mod source;
mod star;
mod truncate;
mod width;

pub(crate) use edit::Edit;
pub(crate) use row::{Row, Rows};
use shadow::Shadows;

/// What a text is adapted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flavour {
    pub(crate) isolation: Isolation,
    pub(crate) place: Place,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Sent by a client.
    Client,
    /// The query of a view: its stars become the app's columns.
    View,
    /// The query of a view as `shared` has it, for a view of one tenant: other views take its tables' places.
    Report,
    /// The body of a function or procedure in SQL.
    Sql,
    /// A statement or (as `SELECT …`) an expression of PL/pgSQL.
    PlPgSql,
}

/// The changes that make a text run in an isolation as it runs in a plain database.
///
/// Names of the app's objects in `public` become those of the slot [`edit::Slot::Schema`] for [`Isolation::Schema`].
pub(crate) fn statement(
    text: &str,
    statements: &[pb::RawStmt],
    model: &Schema,
    flavour: Flavour,
) -> Verdict<Vec<Edit>> {
    within(text, statements, model, flavour, &Rows::default())
}

/// [`statement`] for a part of a routine, which knows rows by names of its own.
pub(crate) fn within(
    text: &str,
    statements: &[pb::RawStmt],
    model: &Schema,
    flavour: Flavour,
    rows: &Rows<'_>,
) -> Verdict<Vec<Edit>> {
    let mut adapter = Adapter {
        text,
        model,
        flavour,
        rows,
        edits: Vec::new(),
        left: budget::of(text.len()),
        shadows: Shadows::default(),
        counted: false,
        in_from: false,
    };
    for raw in statements {
        if let Some(node) = &raw.stmt {
            adapter.top(node, span(text, raw))?;
        }
    }
    Ok(adapter.edits)
}

/// One text on its way through.
struct Adapter<'a> {
    text: &'a str,
    model: &'a Schema,
    flavour: Flavour,
    rows: &'a Rows<'a>,
    edits: Vec<Edit>,
    /// Bytes that may still be written of the model's columns.
    left: usize,
    /// The WITH queries that are visible at this point.
    shadows: Shadows<'a>,
    /// Whether it matters how many columns the query at hand gives.
    counted: bool,
    /// Whether the call at hand gives rows rather than a value.
    in_from: bool,
}

/// A statement's bytes, up to its semicolon.
fn span(text: &str, raw: &pb::RawStmt) -> std::ops::Range<usize> {
    let start = usize::try_from(raw.stmt_location).unwrap_or(0);
    let len = usize::try_from(raw.stmt_len).unwrap_or(0);
    start..if len == 0 { text.len() } else { start + len }
}

impl<'a> Adapter<'a> {
    /// A statement that is not part of another one.
    fn top(&mut self, node: &'a pb::Node, span: std::ops::Range<usize>) -> Verdict<()> {
        let Some(kind) = &node.node else { return Ok(()) };
        match kind {
            NodeEnum::TruncateStmt(truncate) => self.truncate(truncate, span),
            NodeEnum::ListenStmt(_) | NodeEnum::UnlistenStmt(_) | NodeEnum::NotifyStmt(_) => self.channel(kind, &span),
            NodeEnum::LockStmt(_) | NodeEnum::ExplainStmt(_) if self.shared() => Err(refused::shared(kind)),
            NodeEnum::CopyStmt(copy) => self.copy(copy),
            NodeEnum::VariableSetStmt(set) => {
                self.set(set, span);
                Ok(())
            }
            NodeEnum::PrepareStmt(prepare) => {
                self.names_in(&prepare.argtypes);
                self.within(prepare.query.as_deref())
            }
            NodeEnum::DeclareCursorStmt(cursor) => self.within(cursor.query.as_deref()),
            NodeEnum::CreateTableAsStmt(create) => self.within(create.query.as_deref()),
            NodeEnum::ViewStmt(view) => self.within(view.query.as_deref()),
            NodeEnum::ExplainStmt(explain) => self.within(explain.query.as_deref()),
            NodeEnum::CallStmt(call) => call.funccall.as_deref().map_or(Ok(()), |call| self.call(call)),
            NodeEnum::LockStmt(lock) => {
                self.names_in(&lock.relations);
                Ok(())
            }
            NodeEnum::VacuumStmt(vacuum) => {
                self.names_in(&vacuum.rels);
                Ok(())
            }
            NodeEnum::CreateStmt(create) => {
                self.names_in(&create.table_elts);
                Ok(())
            }
            _ => self.query(node),
        }
    }

    fn within(&mut self, query: Option<&'a pb::Node>) -> Verdict<()> {
        query.map_or(Ok(()), |query| self.query(query))
    }

    fn shared(&self) -> bool {
        self.flavour.isolation == Isolation::Shared
    }

    /// The app's table that a name means.
    fn table(&self, relation: &pb::RangeVar) -> Option<&'a Table> {
        if !relation.catalogname.is_empty() {
            return None;
        }
        match relation.schemaname.as_str() {
            "" if self.shadows.find(&relation.relname).is_some() => None,
            "" | "public" => self.model.find(&relation.relname),
            _ => None,
        }
    }

    /// A table that tenants share, as what a statement writes: WITH queries are never written.
    fn target(&self, relation: &pb::RangeVar) -> Option<&'a Table> {
        let table = match (relation.catalogname.as_str(), relation.schemaname.as_str()) {
            ("", "" | "public") => self.model.find(&relation.relname),
            _ => None,
        };
        table.filter(|table| self.shared() && table.scope == Scope::Tenant)
    }
}

/// A place of the parse tree's in the text.
fn place(location: i32) -> Option<usize> {
    usize::try_from(location).ok()
}

#[cfg(test)]
mod tests {
    use pg_query::ParserOptions;

    use super::*;
    use crate::{Sources, SqlFile};

    const TABLES: &str = "
        CREATE TABLE a (id serial PRIMARY KEY, x text);
        -- sindico: global
        CREATE TABLE kinds (id int PRIMARY KEY);";

    fn adapted(text: &str, isolation: Isolation, place: Place) -> Verdict<String> {
        let file = SqlFile { name: "migrations/1.sql".to_owned(), text: TABLES.to_owned() };
        let plan = crate::plan(&Sources { migrations: vec![file], seed: Vec::new() }).expect("a plan");
        let parsed = pg_query::parse(text, ParserOptions::default()).expect("SQL").protobuf;
        let edits = statement(text, &parsed.stmts, plan.model.schema(), Flavour { isolation, place })?;
        let written = edit::written(text, edits, "sindico:own");
        pg_query::parse(&written, ParserOptions::default()).expect("SQL again");
        Ok(written)
    }

    #[test]
    fn a_view_shows_the_apps_columns() {
        let view = |text| adapted(text, Isolation::Shared, Place::View).expect("a view");
        assert_eq!(
            view("SELECT *, nextval('a_id_seq') FROM a x, kinds"),
            r#"SELECT "x"."id", "x"."x", "kinds".*, sindico.next_value(E'a_id_seq') AS "nextval" FROM a x, kinds"#
        );
        assert_eq!(
            view("SELECT * FROM (SELECT a.* FROM a) s GROUP BY id"),
            r#"SELECT * FROM (SELECT "a"."id", "a"."x" FROM a) s GROUP BY id"#
        );
    }

    #[test]
    fn a_view_of_one_tenant_groups_by_what_its_tables_key_stood_for() {
        let report = |text| adapted(text, Isolation::Shared, Place::Report).expect("a view");
        assert_eq!(
            report("SELECT b.x, upper(b.x), count(*) FROM a b JOIN kinds USING (id) GROUP BY b.tenant_id, b.id"),
            "SELECT b.x, upper(b.x), count(*) FROM a b JOIN kinds USING (id) \
             GROUP BY \"b\".\"x\", b.tenant_id, b.id"
        );
        assert_eq!(
            report("WITH a AS (SELECT a_1.id FROM public.a a_1) SELECT public.f(id) FROM a"),
            "WITH a AS (SELECT a_1.id FROM \"sindico:own\".a a_1) SELECT public.f(id) FROM a"
        );
        // Only the whole key stands for the rest.
        let part = "SELECT max(x), count(*) FROM a GROUP BY tenant_id";
        assert_eq!(report(part), part);
    }

    #[test]
    fn a_body_names_the_schema_that_it_is_rendered_for() {
        let own = |text| adapted(text, Isolation::Schema, Place::PlPgSql).expect("a body");
        assert_eq!(
            own("INSERT INTO public.a (x) SELECT id FROM public.kinds"),
            "INSERT INTO \"sindico:own\".a (x) SELECT id FROM global.kinds"
        );
        assert_eq!(own("SELECT nextval('public.a_id_seq')"), "SELECT nextval('\"sindico:own\".a_id_seq')");
    }

    #[test]
    fn a_body_draws_and_notifies_by_functions() {
        for (text, place, expected) in [
            (
                "SELECT public.f(nextval('public.a_id_seq'::regclass)) + nextval(name)",
                Place::Sql,
                "SELECT f(sindico.next_value(E'a_id_seq')) + nextval(name)",
            ),
            ("NOTIFY \"Jobs\", 'it''s'", Place::Sql, "SELECT sindico.notify(E'Jobs', E'it\\'s')"),
            ("SELECT pg_notify('jobs', x)", Place::PlPgSql, "SELECT sindico.notify('jobs', x) AS \"pg_notify\""),
            ("TRUNCATE a", Place::PlPgSql, "CALL sindico.truncate(ARRAY[E'a'], false, false)"),
        ] {
            assert_eq!(adapted(text, Isolation::Shared, place).expect("a body"), expected);
        }
        for text in ["LISTEN jobs", "LOCK a", "EXPLAIN SELECT 1"] {
            assert!(adapted(text, Isolation::Shared, Place::Sql).is_err(), "{text}");
        }
    }
}
