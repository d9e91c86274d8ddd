//! DO blocks of migration tools, which create what may be there already.
//!
//! A plan knows what is there at each point, so the statements inside are taken out and go by their own rules; what
//! such a block guards against is known to be the case or not.

use pg_query::{NodeEnum, protobuf as pb};
use serde_json::Value;

use super::{Read, Rewrite, body, draw};
use crate::refusal::{Fault, Verdict};
use crate::schema::Schema;
use crate::tree;

mod condition;

/// What a block does about a statement that finds nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Guard {
    None,
    /// A handler of `duplicate_object` and its like.
    Exists,
    /// A handler of `undefined_object` and its like.
    Lacks,
    /// `IF NOT EXISTS (…)`, with the texts that it compares with.
    IfNot(Vec<String>),
    /// `IF EXISTS (…)`, with the texts that it compares with.
    If(Vec<String>),
}

/// DO.
pub(super) fn apply(statement: &pb::DoStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let (mut source, mut language) = ("", "plpgsql");
    for node in &statement.args {
        if let Some(NodeEnum::DefElem(option)) = &node.node {
            let value = option.arg.as_deref().and_then(tree::string).unwrap_or_default();
            if option.defname == "as" { source = value } else { language = value }
        }
    }
    if !language.eq_ignore_ascii_case("plpgsql") {
        return Err(Fault::unsupported(format!("a DO block in {language}"), "write the statements that it would run"));
    }
    let parsed = body::parse_plpgsql(source)?;
    let block = parsed.pointer("/0/PLpgSQL_function/action").ok_or_else(refused)?;
    let mut statements = Vec::new();
    collect(block, &Guard::None, &mut Vec::new(), &mut statements)?;
    let mut whole: Option<Rewrite> = None;
    let mut notes = Vec::new();
    for (sql, guard) in statements {
        let tree = tree::parse(&sql).map_err(|_| refused())?;
        if !is_left_out(&tree) {
            is_about(&guard, &tree)?;
        }
        let mut after = schema.clone();
        let read = Read { tree: &tree, text: &sql, data: None, global: false };
        let part = match super::apply(read, super::Stage::Migration, &mut after) {
            Ok(part) if part.rows.is_some() => return Err(refused()),
            Ok(part) => part,
            Err(fault) if guards(&guard, &fault) => {
                notes.push(fault.reason);
                continue;
            }
            Err(fault) => return Err(fault),
        };
        *schema = after;
        notes.extend(part.note.clone());
        match &mut whole {
            None => whole = Some(part),
            Some(whole) if whole.scope == part.scope => {
                whole.shared.extend(part.shared);
                whole.own.extend(part.own);
                whole.tenant.extend(part.tenant);
                whole.grants.extend(part.grants);
            }
            Some(_) => return Err(refused()),
        }
    }
    let mut whole = whole.unwrap_or_else(|| Rewrite::dropped(""));
    notes.insert(0, "the block's statements run by themselves".to_owned());
    whole.note = Some(notes.join("; "));
    Ok(whole)
}

/// Whether a statement has no effect whatever a condition says: roles and privileges are síndico's business.
fn is_left_out(statement: &pb::Node) -> bool {
    matches!(
        &statement.node,
        Some(
            NodeEnum::CreateRoleStmt(_)
                | NodeEnum::AlterRoleStmt(_)
                | NodeEnum::DropRoleStmt(_)
                | NodeEnum::GrantRoleStmt(_)
                | NodeEnum::GrantStmt(_)
                | NodeEnum::AlterDefaultPrivilegesStmt(_)
                | NodeEnum::AlterOwnerStmt(_)
        )
    )
}

/// Whether a statement was refused for what the block guards against.
fn guards(guard: &Guard, fault: &Fault) -> bool {
    match guard {
        Guard::None => false,
        Guard::Exists | Guard::IfNot(_) => fault.reason.contains("already"),
        Guard::Lacks | Guard::If(_) => fault.reason.starts_with("there is no ") || fault.reason.contains(" has no "),
    }
}

/// Fails for a condition about anything but whether what the statement makes or takes away is there: that alone is
/// known.
fn is_about(guard: &Guard, statement: &pb::Node) -> Verdict<()> {
    let (texts, subject) = match guard {
        Guard::IfNot(texts) => (texts, made(statement)),
        Guard::If(texts) => (texts, taken(statement)),
        Guard::None | Guard::Exists | Guard::Lacks => return Ok(()),
    };
    // Where it is looked for, and as what.
    let aside = |text: &str| {
        let kinds = ["public", "BASE TABLE", "VIEW", "PRIMARY KEY", "FOREIGN KEY", "UNIQUE", "CHECK"];
        text.chars().count() == 1 || kinds.contains(&text)
    };
    let name = |text: &String| draw::relation_name(text).unwrap_or_else(|| text.clone());
    let about = subject.is_some_and(|Subject { name: object, within }| {
        let is = |text: &String, known: &str| text == known || name(text) == known;
        let known = |text: &String| is(text, &object) || within.as_ref().is_some_and(|table| is(text, table));
        texts.iter().any(|text| is(text, &object)) && texts.iter().all(|text| known(text) || aside(text))
    });
    about.then_some(()).ok_or_else(|| {
        Fault::unsupported(
            "a condition of IF in a DO block that is not about whether the object is there",
            "ask for its name only: IF NOT EXISTS (…) before what creates it, IF EXISTS (…) before what drops it",
        )
    })
}

/// What a statement makes, renames or drops.
struct Subject {
    name: String,
    /// The table or type that it is a part of.
    within: Option<String>,
}

impl Subject {
    fn whole(name: &str) -> Self {
        Self { name: name.to_owned(), within: None }
    }

    fn part(name: &str, of: &str) -> Self {
        Self { name: name.to_owned(), within: Some(of.to_owned()) }
    }
}

/// What a statement creates or adds, if that is one thing with a name.
fn made(statement: &pb::Node) -> Option<Subject> {
    use pb::AlterTableType as Kind;
    match statement.node.as_ref()? {
        NodeEnum::IndexStmt(index) => Some(Subject::part(&index.idxname, &index.relation.as_ref()?.relname)),
        NodeEnum::CreateSeqStmt(sequence) => Some(Subject::whole(&sequence.sequence.as_ref()?.relname)),
        NodeEnum::CreateTrigStmt(created) => {
            Some(Subject::part(&created.trigname, &created.relation.as_ref()?.relname))
        }
        NodeEnum::CreateExtensionStmt(created) => Some(Subject::whole(&created.extname)),
        NodeEnum::AlterEnumStmt(altered) if altered.old_val.is_empty() => {
            Some(Subject::part(&altered.new_val, altered.type_name.last().and_then(tree::string)?))
        }
        NodeEnum::AlterTableStmt(alter) => {
            let (command, table) = only_command(alter)?;
            match (command.subtype(), command.def.as_deref()?.node.as_ref()?) {
                (Kind::AtAddColumn, NodeEnum::ColumnDef(column)) => Some(Subject::part(&column.colname, table)),
                (Kind::AtAddConstraint, NodeEnum::Constraint(added)) => Some(Subject::part(&added.conname, table)),
                _ => None,
            }
        }
        _ => super::creates(statement).map(|name| Subject::whole(&name)),
    }
}

/// What a statement drops, or gives another name, if that is one thing.
fn taken(statement: &pb::Node) -> Option<Subject> {
    use pb::AlterTableType as Kind;
    match statement.node.as_ref()? {
        NodeEnum::RenameStmt(rename) => {
            let relation = rename.relation.as_ref().map(|relation| relation.relname.as_str());
            match relation {
                Some(table) if !rename.subname.is_empty() => Some(Subject::part(&rename.subname, table)),
                Some(name) => Some(Subject::whole(name)),
                None => named(rename.object.as_deref()?),
            }
        }
        NodeEnum::AlterEnumStmt(altered) => {
            Some(Subject::part(&altered.old_val, altered.type_name.last().and_then(tree::string)?))
        }
        NodeEnum::AlterTableStmt(alter) => {
            let (command, table) = only_command(alter)?;
            matches!(command.subtype(), Kind::AtDropColumn | Kind::AtDropConstraint)
                .then(|| Subject::part(&command.name, table))
        }
        NodeEnum::DropStmt(drop) => match drop.objects.as_slice() {
            [object] if drop.remove_type() == pb::ObjectType::ObjectTrigger => {
                let (table, name) = super::trigger::of_table(&mut object.clone()).ok()?;
                Some(Subject::part(&name, &table))
            }
            [object] => named(object),
            _ => None,
        },
        _ => None,
    }
}

fn only_command(alter: &pb::AlterTableStmt) -> Option<(&pb::AlterTableCmd, &str)> {
    match alter.cmds.as_slice() {
        [pb::Node { node: Some(NodeEnum::AlterTableCmd(command)) }] => {
            Some((command, alter.relation.as_ref()?.relname.as_str()))
        }
        _ => None,
    }
}

/// The last word of an object's name.
fn named(object: &pb::Node) -> Option<Subject> {
    let names = match object.node.as_ref()? {
        NodeEnum::List(list) => &list.items,
        NodeEnum::TypeName(name) => &name.names,
        NodeEnum::ObjectWithArgs(routine) => &routine.objname,
        _ => return None,
    };
    names.last().and_then(tree::string).map(Subject::whole)
}

fn refused() -> Fault {
    Fault::unsupported(
        "a DO block that does more than create or alter things, in IF [NOT] EXISTS (…) or with a handler of \
         duplicate_object,",
        "write the statements that it would run; what depends on rows belongs into a function that a seed calls",
    )
}

fn kept() -> Fault {
    Fault::unsupported(
        "SELECT … INTO a variable, but for whether something is there, in a DO block",
        "ask in the IF itself: IF [NOT] EXISTS (SELECT … FROM information_schema.columns WHERE …) THEN",
    )
}

/// The SQL in a list of statements, in order, with what guards it; `answers` are what variables hold.
fn collect(
    value: &Value,
    guard: &Guard,
    answers: &mut Vec<(String, Guard)>,
    found: &mut Vec<(String, Guard)>,
) -> Verdict<()> {
    let query = |value: &Value, path: &str| value.pointer(path).and_then(Value::as_str).map(str::to_owned);
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, guard, answers, found)),
        Value::Object(members) => members.iter().try_for_each(|(kind, inner)| match kind.as_str() {
            "PLpgSQL_stmt_block" => {
                let guard = handled(inner, guard)?;
                inner.get("body").map_or(Ok(()), |body| collect(body, &guard, answers, found))
            }
            "PLpgSQL_stmt_execsql" if inner.get("into").is_some_and(|into| into == true) => {
                let query = query(inner, "/sqlstmt/PLpgSQL_expr/query").ok_or_else(refused)?;
                let certain = !matches!(guard, Guard::If(_) | Guard::IfNot(_));
                let answer = condition::kept(&query).filter(|_| certain).ok_or_else(kept)?;
                let variable = inner.pointer("/target/PLpgSQL_row/fields/0/name").and_then(Value::as_str);
                answers.push((variable.ok_or_else(kept)?.to_owned(), answer));
                Ok(())
            }
            "PLpgSQL_stmt_execsql" => {
                found.push((query(inner, "/sqlstmt/PLpgSQL_expr/query").ok_or_else(refused)?, guard.clone()));
                Ok(())
            }
            "PLpgSQL_stmt_dynexecute" => {
                let text = query(inner, "/query/PLpgSQL_expr/query").ok_or_else(refused)?;
                found.push((constant(&text).ok_or_else(refused)?, guard.clone()));
                Ok(())
            }
            "PLpgSQL_stmt_if" => {
                // Of two conditions, one in the other, only the inner one would count.
                let nested = matches!(guard, Guard::If(_) | Guard::IfNot(_));
                if nested || inner.get("elsif_list").is_some() || inner.get("else_body").is_some() {
                    return Err(refused());
                }
                let condition = query(inner, "/cond/PLpgSQL_expr/query").ok_or_else(refused)?;
                let guard = condition::asked(&condition, answers).ok_or_else(refused)?;
                inner.get("then_body").map_or(Ok(()), |body| collect(body, &guard, answers, found))
            }
            // RAISE NOTICE and the RETURN at the end.
            "PLpgSQL_stmt_raise" | "PLpgSQL_stmt_return" | "PLpgSQL_stmt_null" => Ok(()),
            _ => Err(refused()),
        }),
        _ => Ok(()),
    }
}

/// What the handlers of a block guard against; they themselves may do nothing.
fn handled(block: &Value, guard: &Guard) -> Verdict<Guard> {
    let Some(list) = block.pointer("/exceptions/PLpgSQL_exception_block/exc_list").and_then(Value::as_array) else {
        return Ok(guard.clone());
    };
    if matches!(guard, Guard::If(_) | Guard::IfNot(_)) {
        return Err(refused());
    }
    let mut outcome = guard.clone();
    for handler in list {
        let handler = handler.get("PLpgSQL_exception").ok_or_else(refused)?;
        // It may pass the error on, so that it is not known what this one guards against.
        if handler.get("action").is_some_and(only_raises) {
            outcome = Guard::None;
            continue;
        }
        let mut done = Vec::new();
        collect(handler.get("action").unwrap_or(&Value::Null), &Guard::None, &mut Vec::new(), &mut done)?;
        if !done.is_empty() {
            return Err(refused());
        }
        for condition in handler.get("conditions").and_then(Value::as_array).into_iter().flatten() {
            let name = condition.pointer("/PLpgSQL_condition/condname").and_then(Value::as_str).unwrap_or_default();
            outcome = match name {
                _ if name.starts_with("duplicate_") || name == "others" => Guard::Exists,
                _ if name.starts_with("undefined_") => Guard::Lacks,
                _ => return Err(refused()),
            };
        }
    }
    Ok(outcome)
}

/// Whether statements do nothing but ask for something and raise an error or a notice.
fn only_raises(action: &Value) -> bool {
    fn harmless(value: &Value) -> bool {
        match value {
            Value::Array(items) => items.iter().all(harmless),
            Value::Object(members) => members.iter().all(|(kind, inner)| match kind.as_str() {
                "PLpgSQL_stmt_raise" | "PLpgSQL_stmt_null" => true,
                "PLpgSQL_stmt_if" => {
                    ["then_body", "elsif_list", "else_body"].iter().filter_map(|part| inner.get(part)).all(harmless)
                }
                _ => false,
            }),
            _ => false,
        }
    }
    let asks = |value: &Value| value.get("PLpgSQL_stmt_if").is_some();
    action.as_array().is_some_and(|items| items.iter().any(asks)) && harmless(action)
}

/// The text that an expression is, if it is a constant.
fn constant(expression: &str) -> Option<String> {
    let tree = tree::parse(&format!("SELECT {expression}")).ok()?;
    let Some(NodeEnum::SelectStmt(select)) = tree.node else { return None };
    let Some(NodeEnum::ResTarget(target)) = select.target_list.into_iter().next()?.node else { return None };
    match target.val?.node? {
        NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Sval(text)), .. }) => Some(text.sval),
        _ => None,
    }
}
