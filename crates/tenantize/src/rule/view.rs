//! Views.

use domain::Isolation;
use pg_query::{NodeEnum, protobuf as pb};

use super::drop_object::Found;
use super::{Rewrite, body, refused, unqualify};
use crate::adapt::Place;
use crate::plan::{Filled, Grant, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Column, Schema, Table, View};
use crate::{bare, tree};

mod columns;

use columns::Resolver;

/// CREATE VIEW.
pub(super) fn create(text: &str, schema: &mut Schema) -> Verdict<Rewrite> {
    let text = bare::same(text)?;
    let own = statement(&text)?;
    let relation = own.view.as_ref().ok_or_else(refused::nothing)?;
    let view = relation.relname.clone();
    if !relation.schemaname.is_empty() {
        return Err(Fault::unsupported(
            format!("{}.{view}, in a schema of its own,", relation.schemaname),
            "leave the schema out: síndico puts each view where its isolation wants it",
        ));
    }
    if relation.relpersistence != "p" {
        return Err(Fault::unsupported("a temporary view", "create an ordinary view"));
    }
    let replaced = schema.objects.find_view(&view).is_some();
    if replaced && !own.replace {
        return Err(Fault::new(format!("there is a view {view} already"), "write CREATE OR REPLACE VIEW"));
    }
    if !replaced {
        schema.type_must_be_free(&view)?;
        schema.must_be_free(&view)?;
    }
    let reads = reads(&own, schema)?;

    // The whole statement is changed as a text, in which the query's words have their places.
    let raw = pb::RawStmt { stmt: own.query.clone(), ..pb::RawStmt::default() };
    let shared_text = body::edited(&text, &[raw], Isolation::Shared, Place::View, schema)?;
    let mut shared = statement(&shared_text)?;
    let columns = columns(&mut shared, schema)?;
    let barred = |node: &pb::Node| matches!(&node.node, Some(NodeEnum::DefElem(o)) if o.defname == "security_invoker");
    let mut own = own;
    own.options.retain(|option| !barred(option));
    shared.options.retain(|option| !barred(option));
    shared.options.push(security_invoker());
    schema.objects.views.retain(|known| known.name != view);
    schema.objects.views.push(View { name: view.clone(), shape: shape(&view, columns), reads });

    let mut rewrite =
        Rewrite::differing(Scope::Tenant, NodeEnum::ViewStmt(Box::new(shared)), NodeEnum::ViewStmt(Box::new(own)));
    rewrite.grants.push(Grant::Table(view));
    Ok(rewrite)
}

fn statement(text: &str) -> Verdict<pb::ViewStmt> {
    let mut statements = body::parse(text)?;
    match statements.pop().and_then(|raw| raw.stmt).and_then(|node| node.node) {
        Some(NodeEnum::ViewStmt(view)) if statements.is_empty() => Ok(*view),
        _ => Err(refused::nothing()),
    }
}

/// Without it a view reads its tables as the owner, whom row-level security shows nothing, and a superuser everything.
fn security_invoker() -> pb::Node {
    let truth = tree::node(NodeEnum::String(pb::String { sval: "true".to_owned() }));
    tree::node(NodeEnum::DefElem(Box::new(pb::DefElem {
        defname: "security_invoker".to_owned(),
        arg: Some(Box::new(truth)),
        defaction: pb::DefElemAction::DefelemUnspec.into(),
        ..pb::DefElem::default()
    })))
}

/// The tables and views that a view's query names; others are unknown.
fn reads(view: &pb::ViewStmt, schema: &Schema) -> Verdict<Vec<String>> {
    let Some(query) = view.query.as_deref() else { return Err(refused::nothing()) };
    let mut reads = Vec::new();
    // A recursive view names itself.
    let itself = view.view.as_ref().map(|relation| relation.relname.as_str());
    let with = tree::with_queries(query);
    for (of, relation) in tree::relations(query) {
        if of.is_empty() && (with.contains(&relation) || itself == Some(relation.as_str())) {
            continue;
        }
        if !of.is_empty() && of != "pg_catalog" {
            return Err(Fault::unsupported(
                format!("{of}.{relation}, in another schema,"),
                "read the app's own tables and views, without naming a schema",
            ));
        }
        if of == "pg_catalog" || relation.starts_with("pg_") {
            return Err(Fault::unsupported(
                format!("a view of {relation}"),
                "leave it out: the catalog tells of all that a database holds, not of one tenant",
            ));
        }
        if schema.objects.find_view(&relation).is_none() {
            schema.table(&relation)?;
        }
        reads.push(relation);
    }
    Ok(reads)
}

/// What the view's columns are called, once stars are gone.
fn columns(view: &mut pb::ViewStmt, schema: &Schema) -> Verdict<Vec<String>> {
    let aliases = tree::strings(&view.aliases);
    let name = view.view.as_ref().map(|relation| relation.relname.clone()).unwrap_or_default();
    let mut resolver = Resolver::new(schema, (name, Some(aliases.clone())));
    let columns = match view.query.as_deref_mut().and_then(|query| query.node.as_mut()) {
        Some(NodeEnum::SelectStmt(select)) => resolver.select(select)?,
        _ => None,
    };
    let mut columns = columns.ok_or_else(|| {
        Fault::new("the columns that * means here are not known before the view exists", "list the columns")
    })?;
    for (column, alias) in columns.iter_mut().zip(aliases) {
        *column = alias;
    }
    if columns.iter().any(|column| column == tree::TENANT_ID) {
        return Err(crate::expr::tenant_id_mentioned());
    }
    Ok(columns)
}

fn shape(name: &str, columns: Vec<String>) -> Table {
    let column = |name| Column {
        name,
        type_name: pb::TypeName::default(),
        filled: Filled::Written,
        identity: false,
        default: None,
        draws: Vec::new(),
        computed_from: Vec::new(),
        not_null: false,
        late: false,
    };
    Table { columns: columns.into_iter().map(column).collect(), ..Table::new(name, Scope::Tenant) }
}

/// ALTER VIEW, but for renames and owners.
pub(super) fn alter(statement: &pb::AlterTableStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    use pb::AlterTableType as Command;
    let mut altered = statement.clone();
    let relation = altered.relation.as_mut().ok_or_else(refused::nothing)?;
    unqualify(relation)?;
    if schema.objects.find_view(&relation.relname).is_none() {
        if altered.missing_ok {
            return Ok(Rewrite::dropped(format!("there is no view {} at this point", relation.relname)));
        }
        return Err(schema.objects.unknown("view", &relation.relname));
    }
    for node in &altered.cmds {
        let Some(NodeEnum::AlterTableCmd(command)) = &node.node else { return Err(refused::nothing()) };
        match command.subtype() {
            Command::AtColumnDefault => {}
            Command::AtSetRelOptions | Command::AtResetRelOptions if !names_invoker(command) => {}
            _ => {
                return Err(Fault::unsupported(
                    "this form of ALTER VIEW",
                    "leave security_invoker out: síndico sets it where tenants share tables; otherwise replace the view",
                ));
            }
        }
    }
    Ok(Rewrite::alike(Scope::Tenant, NodeEnum::AlterTableStmt(altered)))
}

fn names_invoker(command: &pb::AlterTableCmd) -> bool {
    let Some(NodeEnum::List(options)) = command.def.as_deref().and_then(|def| def.node.as_ref()) else { return false };
    options.items.iter().any(|node| matches!(&node.node, Some(NodeEnum::DefElem(o)) if o.defname == "security_invoker"))
}

/// ALTER VIEW … RENAME TO and RENAME COLUMN.
pub(super) fn rename(statement: &pb::RenameStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut renamed = statement.clone();
    let relation = renamed.relation.as_mut().ok_or_else(refused::nothing)?;
    unqualify(relation)?;
    let (from, to) = (relation.relname.clone(), renamed.newname.clone());
    let of_column = renamed.rename_type() == pb::ObjectType::ObjectColumn;
    if to == tree::TENANT_ID {
        return Err(crate::expr::tenant_id_mentioned());
    }
    if !of_column {
        schema.type_must_be_free(&to)?;
        schema.must_be_free(&to)?;
    }
    let unknown = schema.objects.unknown("view", &from);
    let view = schema.objects.views.iter_mut().find(|view| view.name == from).ok_or(unknown)?;
    if of_column {
        for column in view.shape.columns.iter_mut().filter(|column| column.name == renamed.subname) {
            column.name.clone_from(&to);
        }
    } else {
        view.name.clone_from(&to);
        view.shape.name.clone_from(&to);
    }
    for trigger in schema.objects.triggers.iter_mut().filter(|trigger| !of_column && trigger.table == from) {
        trigger.table.clone_from(&to);
    }
    for other in &mut schema.objects.views {
        for read in other.reads.iter_mut().filter(|read| !of_column && **read == from) {
            read.clone_from(&to);
        }
    }
    Ok(Rewrite::alike(Scope::Tenant, NodeEnum::RenameStmt(Box::new(renamed))))
}

/// For DROP VIEW.
pub(super) fn forget(object: &mut pb::Node, cascade: bool, schema: &mut Schema) -> Verdict<Found> {
    let Some(NodeEnum::List(list)) = &mut object.node else { return Err(refused::nothing()) };
    let name = super::own_name(&mut list.items)?;
    if schema.objects.find_view(&name).is_none() {
        return Ok(Found::No(name));
    }
    schema.remove_view(&name);
    forget_readers("view", name, cascade, schema)?;
    Ok(Found::Yes(Scope::Tenant))
}

/// Takes the views away that read what was dropped, and those that read them, as CASCADE does; without it there may be
/// none.
pub(super) fn forget_readers(what: &str, dropped: String, cascade: bool, schema: &mut Schema) -> Verdict<()> {
    let mut gone = vec![dropped];
    while let Some(name) = gone.pop() {
        let readers = schema.objects.views.iter().filter(|view| view.reads.contains(&name));
        let readers: Vec<String> = readers.map(|view| view.name.clone()).collect();
        if let (Some(reader), false) = (readers.first(), cascade) {
            return Err(Fault::new(
                format!("view {reader} reads {what} {name}"),
                format!("drop {reader} in a statement before, or add CASCADE"),
            ));
        }
        for reader in &readers {
            schema.remove_view(reader);
        }
        gone.extend(readers);
    }
    Ok(())
}
