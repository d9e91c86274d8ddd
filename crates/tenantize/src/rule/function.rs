//! Functions and procedures.

use domain::Isolation;
use pg_query::{NodeEnum, protobuf as pb};

use super::drop_object::Found;
use super::{Rewrite, Sql, body, own_name, owner_rights, plpgsql, refused};
use crate::adapt::{Place, Row, Rows, row};
use crate::plan::{Grant, OWN_SCHEMA, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Routine, Schema, Table};
use crate::{bare, tree};

/// CREATE FUNCTION and CREATE PROCEDURE.
pub(super) fn create(text: &str, schema: &mut Schema) -> Verdict<Rewrite> {
    let text = bare::same(text)?;
    let mut own = statement(&text)?;
    let name = own_name(&mut own.funcname)?;
    let signature = signature(&own.funcname, inputs(&own))?;
    if schema.objects.routines.iter().any(|known| known.arguments == signature) && !own.replace {
        return Err(Fault::new(
            format!("there is a function {signature} already"),
            "write CREATE OR REPLACE, or choose another name",
        ));
    }
    check_options(&own)?;
    for parameter in &own.parameters {
        if let Some(NodeEnum::FunctionParameter(parameter)) = &parameter.node
            && parameter.name == tree::TENANT_ID
        {
            return Err(crate::expr::tenant_id_mentioned());
        }
    }
    // A function may call itself.
    let columns = columns(&own);
    let rows_of = rows_of(&own, schema).map(|table| table.name.clone());
    schema.note_fields();
    let reach = owner_rights::reach(&own, &language(&own), source(&own).ok(), schema)?;
    schema.objects.routines.retain(|known| known.arguments != signature);
    schema.objects.routines.push(Routine {
        name,
        scope: Scope::Tenant,
        arguments: signature.clone(),
        columns,
        rows_of,
        names_tables: reach.names_tables,
        calls: reach.calls,
    });

    let shared = adapt(&text, &mut own, schema)?;
    set_search_path(&mut own, OWN_NAME);
    let own = write(NodeEnum::CreateFunctionStmt(Box::new(own)))?;
    Ok(Rewrite {
        shared: vec![Sql::Text(shared)],
        own: vec![Sql::Text(own)],
        grants: vec![Grant::Routine(signature)],
        ..Rewrite::nothing(Scope::Tenant)
    })
}

/// Only the shared form, with all that the schema has come to hold.
pub(super) fn shared(text: &str, schema: &Schema) -> Verdict<String> {
    let text = bare::text(text);
    let mut function = statement(&text)?;
    own_name(&mut function.funcname)?;
    adapt(&text, &mut function, schema)
}

/// The shared form of a function; the own form has its body without `public.`.
fn adapt(text: &str, own: &mut pb::CreateFunctionStmt, schema: &Schema) -> Verdict<String> {
    let mut shared = own.clone();
    match language(own).as_str() {
        "sql" if own.sql_body.is_some() => {
            shared = statement(&standard_body(text, own, schema)?)?;
            shared.funcname.clone_from(&own.funcname);
        }
        "sql" => {
            let written = bare::same(source(own)?)?;
            set_source(own, &written);
            set_source(&mut shared, &sql_body(&written, gives_rows_of(own, schema), schema, &known_rows(own, schema))?);
            let statements = body::parse(&written)?;
            set_source(own, &body::edited(&written, &statements, Isolation::Schema, Place::Sql, schema)?);
        }
        "plpgsql" => {
            let written = bare::same(source(own)?)?;
            set_source(own, &written);
            let rows = gives_rows_of(own, schema);
            let known = known_rows(own, schema);
            let body = plpgsql::adapted(own, &written, rows, Isolation::Shared, schema, known)?;
            set_source(&mut shared, &body);
            // Channels are one space for a whole database, which tenants with schemas of their own share, too.
            let body = plpgsql::adapted(own, &written, rows, Isolation::Schema, schema, Rows::default())?;
            set_source(own, &body);
        }
        other => {
            return Err(Fault::unsupported(
                format!("a function in {other}"),
                "write it in SQL or PL/pgSQL: other languages are not installed, or run past every boundary",
            ));
        }
    }
    set_search_path(&mut shared, "public");
    write(NodeEnum::CreateFunctionStmt(Box::new(shared)))
}

/// [`OWN_SCHEMA`] as a name.
const OWN_NAME: &str = "sindico:own";

/// SET writes its values as strings, and the schema's placeholder is a name.
fn write(kind: NodeEnum) -> Verdict<String> {
    Ok(tree::write(&tree::node(kind))?.replace(&format!("'{OWN_NAME}'"), OWN_SCHEMA))
}

fn statement(text: &str) -> Verdict<pb::CreateFunctionStmt> {
    let mut statements = body::parse(text)?;
    match statements.pop().and_then(|raw| raw.stmt).and_then(|node| node.node) {
        Some(NodeEnum::CreateFunctionStmt(function)) if statements.is_empty() => Ok(*function),
        _ => Err(refused::nothing()),
    }
}

fn options(function: &pb::CreateFunctionStmt) -> impl Iterator<Item = &pb::DefElem> {
    function.options.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::DefElem(option)) => Some(option.as_ref()),
        _ => None,
    })
}

fn check_options(function: &pb::CreateFunctionStmt) -> Verdict<()> {
    for option in options(function) {
        check_option(option)?;
    }
    Ok(())
}

fn check_option(option: &pb::DefElem) -> Verdict<()> {
    let arg = option.arg.as_deref().and_then(|arg| arg.node.as_ref());
    match (option.defname.as_str(), arg) {
        ("security", Some(NodeEnum::Boolean(truth))) if truth.boolval => Err(Fault::unsupported(
            "SECURITY DEFINER",
            "leave it out: the function would run as the owner of all tenants' tables; as SECURITY INVOKER it sees its \
             caller's rows",
        )),
        ("leakproof", Some(NodeEnum::Boolean(truth))) if truth.boolval => {
            Err(Fault::unsupported("LEAKPROOF", "leave it out: it takes a superuser"))
        }
        ("support" | "transform", _) => {
            Err(Fault::unsupported("SUPPORT or TRANSFORM of a function", "leave it out: it takes a superuser"))
        }
        ("set", Some(NodeEnum::VariableSetStmt(set))) => {
            if set.kind() == pb::VariableSetKind::VarSetCurrent {
                return Err(Fault::unsupported("SET … FROM CURRENT", "write the value"));
            }
            body::check_setting(&set.name)
        }
        _ => Ok(()),
    }
}

/// A function that fixes `search_path` finds the app's things all the same: whichever list it wrote, it meant them.
fn set_search_path(function: &mut pb::CreateFunctionStmt, schema: &str) {
    for node in &mut function.options {
        if let Some(NodeEnum::DefElem(option)) = &mut node.node {
            fix_path(option, schema);
        }
    }
}

fn fix_path(option: &mut pb::DefElem, schema: &str) {
    if let Some(NodeEnum::VariableSetStmt(set)) = option.arg.as_deref_mut().and_then(|arg| arg.node.as_mut())
        && set.name.eq_ignore_ascii_case("search_path")
        && set.kind() == pb::VariableSetKind::VarSetValue
    {
        set.args = [schema, "global", "extensions", "pg_temp"].map(constant).into();
    }
}

fn constant(text: &str) -> pb::Node {
    let val = Some(pb::a_const::Val::Sval(pb::String { sval: text.to_owned() }));
    tree::node(NodeEnum::AConst(pb::AConst { val, ..pb::AConst::default() }))
}

fn language(function: &pb::CreateFunctionStmt) -> String {
    let named = options(function).find(|option| option.defname == "language");
    let name = named.and_then(|option| option.arg.as_deref()).and_then(tree::string);
    // PostgreSQL takes a body that is no string for SQL.
    name.map_or_else(|| "sql".to_owned(), str::to_ascii_lowercase)
}

fn source(function: &pb::CreateFunctionStmt) -> Verdict<&str> {
    let body = options(function).find(|option| option.defname == "as").and_then(|option| option.arg.as_deref());
    match body.and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::List(list)) if list.items.len() == 1 => tree::string(&list.items[0]),
        _ => None,
    }
    .ok_or_else(|| Fault::new("the function has no body", "write AS $$ … $$"))
}

fn set_source(function: &mut pb::CreateFunctionStmt, text: &str) {
    for node in &mut function.options {
        if let Some(NodeEnum::DefElem(option)) = &mut node.node
            && option.defname == "as"
            && let Some(NodeEnum::List(list)) = option.arg.as_deref_mut().and_then(|arg| arg.node.as_mut())
        {
            list.items = vec![tree::name(text)];
        }
    }
}

/// Whether the function gives rows of a table, which have `tenant_id` where tenants share it: then so do stars in it.
fn gives_rows_of(function: &pb::CreateFunctionStmt, schema: &Schema) -> bool {
    let returned = function.return_type.as_ref().and_then(|named| named.names.last()).and_then(tree::string);
    returned.is_some_and(|name| schema.find(name).is_some())
}

/// The table that tenants share and the function gives rows of.
fn rows_of<'a>(function: &pb::CreateFunctionStmt, schema: &'a Schema) -> Option<&'a Table> {
    row::of_row_type(function.return_type.as_ref()?, schema)
}

/// The rows that the function's body knows by its arguments, or by the triggers that call it.
fn known_rows<'a>(function: &pb::CreateFunctionStmt, schema: &'a Schema) -> Rows<'a> {
    use pb::FunctionParameterMode as Mode;
    let mut rows = Rows::default();
    for node in &function.parameters {
        let Some(NodeEnum::FunctionParameter(parameter)) = &node.node else { continue };
        let table = parameter.arg_type.as_ref().and_then(|named| row::of_row_type(named, schema)).map(Row::Of);
        if let Some(row) = table.filter(|_| !parameter.name.is_empty()) {
            rows.name(&parameter.name, row);
        }
        if !matches!(parameter.mode(), Mode::FuncParamOut | Mode::FuncParamTable) {
            rows.arguments.push(table);
        }
    }
    if let Some(name) = function.funcname.last().and_then(tree::string) {
        rows.of_triggers(name, schema);
    }
    rows
}

/// The name and arguments of the routine that a statement creates.
pub(super) fn created(text: &str) -> Option<String> {
    let mut function = statement(&bare::text(text)).ok()?;
    own_name(&mut function.funcname).ok()?;
    signature(&function.funcname, inputs(&function)).ok()
}

/// Whether a routine's body has stars that mean what they mean when it runs: in PL/pgSQL.
pub(super) fn has_late_stars(text: &str) -> bool {
    text.contains('*') && statement(&bare::text(text)).is_ok_and(|function| language(&function) == "plpgsql")
}

/// The same function in the place of the one that is there.
pub(super) fn replacing(text: &str) -> Verdict<String> {
    let mut function = statement(text)?;
    function.replace = true;
    write(NodeEnum::CreateFunctionStmt(Box::new(function)))
}

fn sql_body(text: &str, rows: bool, schema: &Schema, known: &Rows<'_>) -> Verdict<String> {
    for raw in body::parse(text)? {
        body::check(raw.stmt.as_deref().ok_or_else(refused::nothing)?)?;
    }
    let adapted = body::shared(text, Place::Sql, schema, known)?;
    let counted = !rows && body::parse(&adapted)?.iter().any(|raw| raw.stmt.as_deref().is_some_and(tree::selects_star));
    if counted { body::shared(&adapted, Place::View, schema, known) } else { Ok(adapted) }
}

/// The whole statement's text with its body (`BEGIN ATOMIC …` or `RETURN …`) adapted.
fn standard_body(text: &str, function: &pb::CreateFunctionStmt, schema: &Schema) -> Verdict<String> {
    let mut statements = Vec::new();
    parts(function.sql_body.as_deref().ok_or_else(refused::nothing)?, &mut statements);
    for node in &statements {
        body::check(node)?;
    }
    let statements: Vec<pb::RawStmt> = statements
        .into_iter()
        .map(|node| pb::RawStmt { stmt: Some(Box::new(node)), ..pb::RawStmt::default() })
        .collect();
    // PostgreSQL resolves stars when it creates the function.
    let place = if gives_rows_of(function, schema) { Place::Sql } else { Place::View };
    body::edited(text, &statements, Isolation::Shared, place, schema)
}

fn parts(node: &pb::Node, found: &mut Vec<pb::Node>) {
    match &node.node {
        Some(NodeEnum::List(list)) => list.items.iter().for_each(|item| parts(item, found)),
        Some(NodeEnum::ReturnStmt(returned)) => {
            let target = pb::ResTarget { val: returned.returnval.clone(), ..pb::ResTarget::default() };
            let target_list = vec![tree::node(NodeEnum::ResTarget(Box::new(target)))];
            found.push(tree::node(NodeEnum::SelectStmt(Box::new(pb::SelectStmt {
                target_list,
                ..pb::SelectStmt::default()
            }))));
        }
        _ => found.push(node.clone()),
    }
}

/// Types of the arguments that tell a routine from others of its name.
fn inputs(function: &pb::CreateFunctionStmt) -> Vec<pb::Node> {
    use pb::FunctionParameterMode as Mode;
    let parameters = function.parameters.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::FunctionParameter(parameter)) => Some(parameter),
        _ => None,
    });
    parameters
        .filter(|parameter| !matches!(parameter.mode(), Mode::FuncParamOut | Mode::FuncParamTable))
        .filter_map(|parameter| parameter.arg_type.clone().map(|named| tree::node(NodeEnum::TypeName(named))))
        .collect()
}

/// Columns of what the function gives, if its declaration tells.
fn columns(function: &pb::CreateFunctionStmt) -> Option<Vec<String>> {
    use pb::FunctionParameterMode as Mode;
    let mut columns = Vec::new();
    for node in &function.parameters {
        if let Some(NodeEnum::FunctionParameter(parameter)) = &node.node
            && matches!(parameter.mode(), Mode::FuncParamOut | Mode::FuncParamInout | Mode::FuncParamTable)
        {
            columns.push(parameter.name.clone());
        }
    }
    (!columns.is_empty()).then_some(columns)
}

/// `name(type, …)`, as SQL writes it.
fn signature(name: &[pb::Node], arguments: Vec<pb::Node>) -> Verdict<String> {
    let object = pb::ObjectWithArgs { objname: name.to_vec(), objargs: arguments, ..pb::ObjectWithArgs::default() };
    let drop = pb::DropStmt {
        objects: vec![tree::node(NodeEnum::ObjectWithArgs(object))],
        remove_type: pb::ObjectType::ObjectFunction.into(),
        behavior: pb::DropBehavior::DropRestrict.into(),
        ..pb::DropStmt::default()
    };
    let sql = tree::deparse(&tree::node(NodeEnum::DropStmt(drop)))?;
    Ok(sql.strip_prefix("DROP FUNCTION ").unwrap_or(&sql).to_owned())
}

/// The routine that a statement names, with or without its arguments; `None` if there is none.
pub(super) fn find(object: &mut pb::ObjectWithArgs, schema: &Schema) -> Verdict<Option<Routine>> {
    let name = own_name(&mut object.objname)?;
    for argument in object.objargs.iter_mut().chain(&mut object.objfuncargs) {
        match &mut argument.node {
            Some(NodeEnum::TypeName(named)) => crate::expr::unqualify(&mut named.names, "the type")?,
            Some(NodeEnum::FunctionParameter(parameter)) => {
                if let Some(named) = parameter.arg_type.as_mut() {
                    crate::expr::unqualify(&mut named.names, "the type")?;
                }
            }
            _ => {}
        }
    }
    if object.args_unspecified {
        let mut called = schema.objects.routines_called(&name);
        let first = called.next().cloned();
        if called.next().is_some() {
            return Err(Fault::new(format!("there are several functions {name}"), "name the types of its arguments"));
        }
        return Ok(first);
    }
    let signature = signature(&object.objname, object.objargs.clone())?;
    Ok(schema.objects.routines.iter().find(|known| known.arguments == signature).cloned())
}

/// For DROP FUNCTION.
pub(super) fn forget(object: &mut pb::Node, cascade: bool, schema: &mut Schema) -> Verdict<Found> {
    let Some(NodeEnum::ObjectWithArgs(object)) = &mut object.node else { return Err(refused::nothing()) };
    let Some(routine) = find(object, schema)? else {
        return Ok(Found::No(object.objname.last().and_then(tree::string).unwrap_or_default().to_owned()));
    };
    if let Some(trigger) = schema.objects.triggers.iter().find(|trigger| trigger.routine == routine.name)
        && !cascade
    {
        return Err(Fault::new(
            format!("trigger {} on {} calls {}", trigger.name, trigger.table, routine.name),
            "drop the trigger in a statement before, or add CASCADE",
        ));
    }
    schema.objects.triggers.retain(|trigger| trigger.routine != routine.name);
    schema.objects.routines.retain(|known| known.arguments != routine.arguments);
    Ok(Found::Yes(routine.scope))
}

/// ALTER FUNCTION, but for renames and owners.
pub(super) fn alter(statement: &pb::AlterFunctionStmt, schema: &Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    let object = own.func.as_mut().ok_or_else(refused::nothing)?;
    let found = find(object, schema)?;
    let unknown = object.objname.last().and_then(tree::string).unwrap_or_default();
    let routine = found.ok_or_else(|| schema.objects.unknown("function", unknown))?;
    let mut shared = own.clone();
    for (function, schema) in [(&mut own, OWN_NAME), (&mut shared, "public")] {
        for node in &mut function.actions {
            let Some(NodeEnum::DefElem(option)) = &mut node.node else { return Err(refused::nothing()) };
            check_option(option)?;
            fix_path(option, schema);
        }
    }
    let shared = write(NodeEnum::AlterFunctionStmt(shared))?;
    let own = write(NodeEnum::AlterFunctionStmt(own))?;
    let texts = |sql| vec![Sql::Text(sql)];
    Ok(Rewrite { shared: texts(shared), own: texts(own), ..Rewrite::nothing(routine.scope) })
}

/// ALTER FUNCTION … RENAME TO.
pub(super) fn rename(statement: &pb::RenameStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut renamed = statement.clone();
    let Some(NodeEnum::ObjectWithArgs(object)) = renamed.object.as_deref_mut().and_then(|node| node.node.as_mut())
    else {
        return Err(refused::nothing());
    };
    let found = find(object, schema)?;
    let unknown = object.objname.last().and_then(tree::string).unwrap_or_default();
    let routine = found.ok_or_else(|| schema.objects.unknown("function", unknown))?;
    let arguments = routine.arguments.find('(').and_then(|at| routine.arguments.get(at..)).unwrap_or_default();
    let bare = signature(&[tree::name(&renamed.newname)], Vec::new())?;
    let signature = format!("{}{arguments}", bare.trim_end_matches("()"));
    for known in schema.objects.routines.iter_mut().filter(|known| known.arguments == routine.arguments) {
        known.name.clone_from(&renamed.newname);
        known.arguments.clone_from(&signature);
    }
    for trigger in schema.objects.triggers.iter_mut().filter(|trigger| trigger.routine == routine.name) {
        trigger.routine.clone_from(&renamed.newname);
    }
    Ok(Rewrite::alike(routine.scope, NodeEnum::RenameStmt(Box::new(renamed))))
}
