//! Function calls.

use pg_query::{NodeEnum, protobuf as pb};

use super::unqualify;
use crate::bare::LOOKUPS;
use crate::refusal::{Fault, Verdict};
use crate::tree::{self, TENANT_ID};

/// Functions by the beginning of their names, and why an app's SQL does not call them. The database's privileges hold
/// without this list; it tells the author early.
const REFUSED: [(&str, &str); 21] = [
    ("set_config", "settings belong to the connection"),
    ("query_to_xml", "it runs SQL that is hidden in a string"),
    ("table_to_xml", "it runs SQL that is hidden in a string"),
    ("cursor_to_xml", "it runs SQL that is hidden in a string"),
    ("schema_to_xml", "it reads tables that the statement does not name"),
    ("database_to_xml", "it reads tables that the statement does not name"),
    ("ts_stat", "it runs SQL that is hidden in a string"),
    ("ts_rewrite", "it runs SQL that is hidden in a string"),
    ("dblink", "it opens connections of its own"),
    ("lo_", "large objects belong to no table and so to no tenant"),
    ("loread", "large objects belong to no table and so to no tenant"),
    ("lowrite", "large objects belong to no table and so to no tenant"),
    ("pg_read_", "it reads the server's files"),
    ("pg_ls_", "it reads the server's files"),
    ("pg_stat_file", "it reads the server's files"),
    ("pg_advisory_", "advisory locks are shared by everybody in a database"),
    ("pg_try_advisory_", "advisory locks are shared by everybody in a database"),
    ("pg_notify", "channels are shared by everybody in a database"),
    ("pg_terminate_backend", "it ends other sessions"),
    ("pg_cancel_backend", "it disturbs other sessions"),
    ("pg_sleep", "it holds locks and does nothing"),
];

/// Fails for a call of something that apps may not call, and takes `public.` off what it names.
pub(super) fn check(call: &mut pb::FuncCall) -> Verdict<()> {
    unqualify(&mut call.funcname, "the function")?;
    let Some(name) = call.funcname.last().and_then(tree::string) else { return Ok(()) };
    if name == TENANT_ID {
        return Err(super::tenant_id_mentioned());
    }
    if let Some((_, why)) = REFUSED.iter().find(|(beginning, _)| name.starts_with(beginning)) {
        return Err(Fault::unsupported(format!("the function {name}"), format!("do without it: {why}")));
    }
    // A cast may be written as a call.
    if LOOKUPS.contains(&name) || name == "regclass" {
        call.args.iter_mut().try_for_each(|arg| {
            unqualify_lookup(arg);
            check_lookup(arg)
        })?;
    }
    Ok(())
}

/// Fails for what a function of the app's may not call either.
pub(crate) fn refused_in_body(name: &str) -> Verdict<()> {
    // Channels are adapted, settings are the caller's own, and locks and pauses are the caller's own doing.
    const ALLOWED: [&str; 5] = ["set_config", "pg_notify", "pg_advisory_", "pg_try_advisory_", "pg_sleep"];
    match REFUSED.iter().find(|(beginning, _)| name.starts_with(beginning)) {
        Some((beginning, why)) if !ALLOWED.contains(beginning) => {
            Err(Fault::unsupported(format!("the function {name}"), format!("do without it: {why}")))
        }
        _ => Ok(()),
    }
}

/// Takes `public.` off `'public.table'::regclass` and its like, and fails for another schema.
pub(super) fn check_cast(cast: &mut pb::TypeCast) -> Verdict<()> {
    let to = cast.type_name.as_ref().and_then(|name| name.names.last()).and_then(tree::string);
    match &mut cast.arg {
        Some(arg) if to.is_some_and(|to| to.starts_with("reg")) => {
            unqualify_lookup(arg);
            check_lookup(arg)
        }
        _ => Ok(()),
    }
}

fn unqualify_lookup(arg: &mut pb::Node) {
    if let Some(NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Sval(text)), .. })) = &mut arg.node
        && let Some(bare) = text.sval.strip_prefix("public.").or_else(|| text.sval.strip_prefix("\"public\"."))
    {
        text.sval = bare.to_owned();
    }
}

fn check_lookup(arg: &pb::Node) -> Verdict<()> {
    match &arg.node {
        Some(NodeEnum::AConst(pb::AConst { val: Some(pb::a_const::Val::Sval(text)), .. }))
            if text.sval.contains('.') && !text.sval.starts_with("pg_catalog.") =>
        {
            Err(Fault::new(
                format!("'{}' names a schema, and tables are in another one in each isolation", text.sval),
                "leave the schema out of the string",
            ))
        }
        _ => Ok(()),
    }
}
