//! Expressions: which of PostgreSQL's an app may use, and what they mention.
//!
//! An allow-list of node kinds, so that whatever PostgreSQL's grammar learns next is refused until somebody has thought
//! about it. The database is the boundary; this is for the app's author, who should hear of a problem before any tenant
//! does, and for equal behaviour in every isolation.

use pg_query::{NodeEnum, protobuf as pb};

use crate::refusal::{Fault, Verdict};
use crate::tree::{self, TENANT_ID};

mod call;
mod type_name;

pub(crate) use call::refused_in_body;
pub(crate) use type_name::{Integer, check as check_type};

/// What an expression stands in: a column's default, or a query that may have sub-queries.
pub(crate) trait Place {
    /// A column by its name, and by the table or alias before it.
    fn column(&mut self, table: Option<&str>, column: &str) -> Verdict<()>;

    /// A query inside the expression.
    fn query(&mut self, query: &mut pb::Node) -> Verdict<()>;

    /// A call, before it is checked; true says that the place has dealt with what it calls.
    fn call(&mut self, _call: &mut pb::FuncCall) -> Verdict<bool> {
        Ok(false)
    }

    /// Whether a table has this name, so that its row type is not used.
    fn is_table(&self, name: &str) -> bool;
}

/// Checks an expression and everything in it, takes `public.` off its names, and tells the place what it mentions.
pub(crate) fn walk(node: &mut pb::Node, place: &mut impl Place) -> Verdict<()> {
    let Some(kind) = &mut node.node else { return Ok(()) };
    match kind {
        NodeEnum::AConst(_) | NodeEnum::SetToDefault(_) | NodeEnum::SqlvalueFunction(_) => Ok(()),
        NodeEnum::ColumnRef(column) => walk_column(column, place),
        NodeEnum::AExpr(expr) => {
            unqualify(&mut expr.name, "the operator")?;
            walk_opt(&mut expr.lexpr, place)?;
            walk_opt(&mut expr.rexpr, place)
        }
        NodeEnum::BoolExpr(expr) => walk_all(&mut expr.args, place),
        NodeEnum::NullTest(test) => walk_opt(&mut test.arg, place),
        NodeEnum::BooleanTest(test) => walk_opt(&mut test.arg, place),
        NodeEnum::CoalesceExpr(expr) => walk_all(&mut expr.args, place),
        NodeEnum::MinMaxExpr(expr) => walk_all(&mut expr.args, place),
        NodeEnum::AArrayExpr(expr) => walk_all(&mut expr.elements, place),
        NodeEnum::RowExpr(expr) => walk_all(&mut expr.args, place),
        NodeEnum::List(list) => walk_all(&mut list.items, place),
        NodeEnum::NamedArgExpr(arg) => walk_opt(&mut arg.arg, place),
        NodeEnum::CollateClause(collate) => {
            unqualify(&mut collate.collname, "the collation")?;
            walk_opt(&mut collate.arg, place)
        }
        NodeEnum::CaseExpr(case) => {
            walk_opt(&mut case.arg, place)?;
            walk_all(&mut case.args, place)?;
            walk_opt(&mut case.defresult, place)
        }
        NodeEnum::CaseWhen(when) => {
            walk_opt(&mut when.expr, place)?;
            walk_opt(&mut when.result, place)
        }
        NodeEnum::AIndirection(indirection) => {
            walk_all(&mut indirection.indirection, place)?;
            walk_opt(&mut indirection.arg, place)
        }
        NodeEnum::AIndices(indices) => {
            walk_opt(&mut indices.lidx, place)?;
            walk_opt(&mut indices.uidx, place)
        }
        NodeEnum::String(field) if field.sval != TENANT_ID => Ok(()),
        NodeEnum::String(_) => Err(tenant_id_mentioned()),
        NodeEnum::TypeCast(cast) => {
            if let Some(type_name) = &mut cast.type_name {
                check_type(type_name, |name| place.is_table(name))?;
            }
            call::check_cast(cast)?;
            walk_opt(&mut cast.arg, place)
        }
        NodeEnum::FuncCall(function) => {
            if !place.call(function)? {
                call::check(function)?;
            }
            walk_all(&mut function.args, place)?;
            walk_all(&mut function.agg_order, place)?;
            walk_opt(&mut function.agg_filter, place)?;
            function.over.as_deref_mut().map_or(Ok(()), |window| walk_window(window, place))
        }
        NodeEnum::SortBy(sort) => {
            unqualify(&mut sort.use_op, "the operator")?;
            walk_opt(&mut sort.node, place)
        }
        NodeEnum::WindowDef(window) => walk_window(window, place),
        NodeEnum::GroupingSet(set) => walk_all(&mut set.content, place),
        NodeEnum::GroupingFunc(function) => walk_all(&mut function.args, place),
        NodeEnum::MultiAssignRef(assign) => walk_opt(&mut assign.source, place),
        NodeEnum::SubLink(link) => {
            unqualify(&mut link.oper_name, "the operator")?;
            walk_opt(&mut link.testexpr, place)?;
            link.subselect.as_deref_mut().map_or(Ok(()), |query| place.query(query))
        }
        NodeEnum::AStar(_) => Err(star()),
        NodeEnum::ParamRef(_) => {
            Err(Fault::unsupported("a parameter such as $1", "write the value: nobody is there to give one"))
        }
        NodeEnum::CurrentOfExpr(_) => Err(Fault::unsupported("WHERE CURRENT OF", "name the rows by a condition")),
        NodeEnum::XmlExpr(_) | NodeEnum::XmlSerialize(_) => {
            Err(Fault::unsupported("an XML expression", "use json or jsonb, or build the XML in the application"))
        }
        _ => Err(Fault::unsupported(
            "an expression of this kind",
            "write it with operators, CASE, casts and ordinary function calls of PostgreSQL 15",
        )),
    }
}

/// [`walk`] for each of a list.
pub(crate) fn walk_all(nodes: &mut [pb::Node], place: &mut impl Place) -> Verdict<()> {
    nodes.iter_mut().try_for_each(|node| walk(node, place))
}

/// [`walk`] for what may be absent.
pub(crate) fn walk_opt(node: &mut Option<Box<pb::Node>>, place: &mut impl Place) -> Verdict<()> {
    node.as_deref_mut().map_or(Ok(()), |node| walk(node, place))
}

fn walk_window(window: &mut pb::WindowDef, place: &mut impl Place) -> Verdict<()> {
    walk_all(&mut window.partition_clause, place)?;
    walk_all(&mut window.order_clause, place)?;
    walk_opt(&mut window.start_offset, place)?;
    walk_opt(&mut window.end_offset, place)
}

fn walk_column(column: &mut pb::ColumnRef, place: &mut impl Place) -> Verdict<()> {
    if column.fields.iter().any(|field| tree::string(field).is_none()) {
        return Err(star());
    }
    if column.fields.len() > 2 && column.fields.first().and_then(tree::string) == Some("public") {
        column.fields.remove(0);
    }
    let names = tree::strings(&column.fields);
    let (table, name) = match names.as_slice() {
        [name] => (None, name),
        [table, name] => (Some(table.as_str()), name),
        _ => {
            return Err(Fault::unsupported(
                format!("the name {}", names.join(".")),
                "write table.column, without a schema",
            ));
        }
    };
    if name == TENANT_ID {
        return Err(tenant_id_mentioned());
    }
    place.column(table, name)
}

/// Takes `public.` off a name, which then is found by `search_path`: the app's in the tenant's place, an extension's in
/// its schema. Fails for names in other schemas, but for PostgreSQL's own.
pub(crate) fn unqualify(names: &mut Vec<pb::Node>, what: &str) -> Verdict<()> {
    if names.len() == 2 && names.first().and_then(tree::string) == Some("public") {
        names.remove(0);
    }
    must_be_unqualified(names, what)
}

/// Fails for names in other schemas than PostgreSQL's own.
pub(crate) fn must_be_unqualified(names: &[pb::Node], what: &str) -> Verdict<()> {
    match tree::strings(names).as_slice() {
        [] | [_] => Ok(()),
        [schema, _] if schema == "pg_catalog" => Ok(()),
        names => Err(Fault::unsupported(
            format!("{what} {}", names.join(".")),
            "use what PostgreSQL itself brings, without naming a schema",
        )),
    }
}

/// For any mention of the column that shared tables have.
pub(crate) fn tenant_id_mentioned() -> Fault {
    Fault::new(
        "tenant_id is the column that síndico adds where tenants share tables; an app has none",
        "leave it out, every row belongs to its tenant already, or choose another name",
    )
}

fn star() -> Fault {
    Fault::new(
        "* would include tenant_id where tenants share tables",
        "list the columns; in EXISTS write SELECT 1, and count(*) is fine",
    )
}
