//! Names of types.

use pg_query::protobuf as pb;

use super::unqualify;
use crate::refusal::{Fault, Verdict};
use crate::tree;

/// Takes `public.` off a type's name. Fails for types in other schemas, and for the row type of a table, which has
/// `tenant_id` where tenants share it.
pub(crate) fn check(type_name: &mut pb::TypeName, is_table: impl Fn(&str) -> bool) -> Verdict<()> {
    if type_name.setof || type_name.pct_type {
        return Err(Fault::unsupported("SETOF or %TYPE", "name the type itself"));
    }
    unqualify(&mut type_name.names, "the type")?;
    let Some(name) = type_name.names.last().and_then(tree::string) else { return Ok(()) };
    if is_table(name.strip_prefix('_').unwrap_or(name)) || is_table(name) {
        return Err(Fault::new(
            format!("{name} is the row type of a table, which has tenant_id where tenants share the table"),
            "create a composite type with these columns, or use jsonb",
        ));
    }
    Ok(())
}

/// The integer type behind `serial` and its like (PostgreSQL manual, 8.1.4); only the bare word counts.
pub(crate) fn is_serial(type_name: &pb::TypeName) -> bool {
    const SERIALS: [&str; 6] = ["serial", "serial2", "serial4", "serial8", "smallserial", "bigserial"];
    match type_name.names.as_slice() {
        [only] => tree::string(only).is_some_and(|name| SERIALS.contains(&name)) && type_name.array_bounds.is_empty(),
        _ => false,
    }
}

/// Whether this is `smallint` or a serial form of it.
pub(crate) fn is_smallint(type_name: &pb::TypeName) -> bool {
    const SMALL: [&str; 3] = ["int2", "smallserial", "serial2"];
    type_name.names.last().and_then(tree::string).is_some_and(|name| SMALL.contains(&name))
}
