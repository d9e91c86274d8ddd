//! Triggers.

use pg_query::{NodeEnum, protobuf as pb};

use super::drop_object::Found;
use super::{Rewrite, refused};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Schema, Trigger};
use crate::{bare, loading, tree};

/// Trigger functions that PostgreSQL and the allowed extensions bring.
const BUILT_IN: [&str; 3] =
    ["suppress_redundant_updates_trigger", "tsvector_update_trigger", "tsvector_update_trigger_column"];

/// Bits of a trigger's timing and events (PostgreSQL's `TRIGGER_TYPE_…`).
const BEFORE: i32 = 1 << 1;
const DELETE: i32 = 1 << 3;
const UPDATE: i32 = 1 << 4;

/// CREATE TRIGGER. What it runs sees the rows of the tenant that fires it: the function runs as its caller.
pub(super) fn create(text: &str, schema: &mut Schema) -> Verdict<Rewrite> {
    let node = tree::parse(&bare::text(text)).map_err(|_| refused::nothing())?;
    let Some(NodeEnum::CreateTrigStmt(mut trigger)) = node.node else { return Err(refused::nothing()) };
    let relation = trigger.relation.as_mut().ok_or_else(refused::nothing)?;
    super::unqualify(relation)?;
    let table = relation.relname.clone();
    if let Some(other) = trigger.constrrel.as_mut() {
        super::unqualify(other)?;
        schema.table(&other.relname)?;
    }
    let on_view = schema.objects.find_view(&table).is_some();
    if !on_view {
        let table = schema.table(&table)?;
        if table.scope == Scope::Global {
            return Err(Fault::unsupported(
                format!("a trigger on the global table {}", table.name),
                "write its rows as they are to be: they come with migrations and seeds only",
            ));
        }
        for column in tree::strings(&trigger.columns) {
            table.column(&column)?;
        }
    }
    let routine = super::own_name(&mut trigger.funcname)?;
    let qualified = trigger.funcname.len() > 1;
    if !qualified && !BUILT_IN.contains(&routine.as_str()) && schema.objects.routines_called(&routine).next().is_none()
    {
        return Err(schema.objects.unknown("function", &routine));
    }
    if let Some(condition) = trigger.when_clause.as_deref()
        && tree::mentions_tenant(condition)
    {
        return Err(crate::expr::tenant_id_mentioned());
    }
    let name = trigger.trigname.clone();
    must_be_the_apps(&name)?;
    let exists = schema.objects.triggers.iter().any(|known| known.table == table && known.name == name);
    if exists && !trigger.replace {
        return Err(Fault::new(
            format!("there is a trigger {name} on {table} already"),
            "choose another name, or write CREATE OR REPLACE TRIGGER",
        ));
    }
    // One on a view is INSTEAD OF what is done, and has no condition.
    if !on_view && let Some(part) = schema.loading.trigger() {
        trigger.when_clause = Some(loading::guard(trigger.when_clause.take(), part)?);
    }
    schema.objects.triggers.retain(|known| known.table != table || known.name != name);
    schema.objects.triggers.push(Trigger {
        name,
        table,
        routine,
        transitions: { trigger.transition_rels.iter() }
            .filter_map(|node| match &node.node {
                Some(NodeEnum::TriggerTransition(transition)) => Some(transition.name.clone()),
                _ => None,
            })
            .collect(),
        before: trigger.timing & BEFORE != 0,
        on_update: trigger.events & UPDATE != 0,
        on_delete: trigger.events & DELETE != 0,
    });
    Ok(Rewrite::alike(Scope::Tenant, NodeEnum::CreateTrigStmt(trigger)))
}

/// ALTER TRIGGER … RENAME TO.
pub(super) fn rename(statement: &pb::RenameStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut renamed = statement.clone();
    let relation = renamed.relation.as_mut().ok_or_else(refused::nothing)?;
    super::unqualify(relation)?;
    must_be_the_apps(&renamed.subname)?;
    must_be_the_apps(&renamed.newname)?;
    let unknown = schema.objects.unknown("trigger", &renamed.subname);
    let known = schema.objects.triggers.iter_mut();
    let trigger =
        { known }.find(|known| known.table == relation.relname && known.name == renamed.subname).ok_or(unknown)?;
    trigger.name.clone_from(&renamed.newname);
    Ok(Rewrite::alike(Scope::Tenant, NodeEnum::RenameStmt(Box::new(renamed))))
}

/// Whoever administers writes rows without triggers: these would run as an administrator.
pub(super) fn fires_always() -> Fault {
    Fault::unsupported(
        "ENABLE ALWAYS or REPLICA TRIGGER",
        "write ENABLE TRIGGER: such a trigger would also fire where rows of tenants are removed or brought back",
    )
}

/// ALTER TABLE … ENABLE and DISABLE TRIGGER, when that is all; the triggers that keep foreign keys are not the app's.
pub(super) fn switch(statement: &pb::AlterTableStmt, schema: &Schema) -> Option<Verdict<Rewrite>> {
    use pb::AlterTableType as Command;
    let commands = statement.cmds.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::AlterTableCmd(command)) => Some(command),
        _ => None,
    });
    let all = [Command::AtEnableTrigAll, Command::AtDisableTrigAll];
    let one = [Command::AtEnableTrig, Command::AtDisableTrig, Command::AtEnableTrigUser, Command::AtDisableTrigUser];
    let commands: Vec<&pb::AlterTableCmd> = commands.map(Box::as_ref).collect();
    let kinds: Vec<Command> = commands.iter().map(|command| command.subtype()).collect();
    if kinds.iter().any(|kind| all.contains(kind)) {
        return Some(Err(Fault::unsupported(
            "ENABLE or DISABLE TRIGGER ALL",
            "leave it out, or write USER: ALL concerns foreign keys too and takes a superuser",
        )));
    }
    if kinds.iter().any(|kind| [Command::AtEnableAlwaysTrig, Command::AtEnableReplicaTrig].contains(kind)) {
        return Some(Err(fires_always()));
    }
    if kinds.is_empty() || !kinds.iter().all(|kind| one.contains(kind)) {
        return None;
    }
    if let Err(fault) = commands.iter().try_for_each(|command| must_be_the_apps(&command.name)) {
        return Some(Err(fault));
    }
    let mut switched = statement.clone();
    let outcome = switched.relation.as_mut().ok_or_else(refused::nothing).and_then(|relation| {
        super::unqualify(relation)?;
        schema.table(&relation.relname).map(|table| table.scope)
    });
    // USER would switch the trigger off by which an identity column counts per tenant.
    if kinds.iter().any(|kind| matches!(kind, Command::AtEnableTrigUser | Command::AtDisableTrigUser)) {
        return Some(Err(Fault::unsupported("ENABLE or DISABLE TRIGGER USER", "name each trigger")));
    }
    Some(outcome.map(|scope| Rewrite::alike(scope, NodeEnum::AlterTableStmt(switched))))
}

/// For DROP TRIGGER.
pub(super) fn forget(object: &mut pb::Node, schema: &mut Schema) -> Verdict<Found> {
    let (table, name) = of_table(object)?;
    must_be_the_apps(&name)?;
    let known = |trigger: &Trigger| trigger.table == table && trigger.name == name;
    if !schema.objects.triggers.iter().any(known) {
        return Ok(Found::No(name));
    }
    schema.objects.triggers.retain(|trigger| !known(trigger));
    Ok(Found::Yes(Scope::Tenant))
}

/// Fails for the names of síndico's own triggers: without them an identity column would give the values that stand for
/// the next number.
pub(super) fn must_be_the_apps(name: &str) -> Verdict<()> {
    if name.starts_with("!sindico") {
        return Err(Fault::unsupported(format!("the trigger {name}"), "leave it alone: it is síndico's"));
    }
    Ok(())
}

/// The table and the trigger that an object's name says, without `public.`.
pub(super) fn of_table(object: &mut pb::Node) -> Verdict<(String, String)> {
    let Some(NodeEnum::List(list)) = &mut object.node else { return Err(refused::nothing()) };
    if list.items.len() == 3 && list.items.first().and_then(tree::string) == Some("public") {
        list.items.remove(0);
    }
    match tree::strings(&list.items).as_slice() {
        [table, name] => Ok((table.clone(), name.clone())),
        names => Err(Fault::unsupported(format!("the name {}", names.join(".")), "leave the schema out")),
    }
}
