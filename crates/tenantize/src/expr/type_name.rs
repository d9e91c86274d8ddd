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

/// The integers that a sequence may count with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Integer {
    Small,
    Middle,
    Big,
}

impl Integer {
    /// The integer behind `serial` and its like (PostgreSQL manual, 8.1.4); only the bare word counts.
    pub(crate) fn of_serial(type_name: &pb::TypeName) -> Option<Self> {
        let [only] = type_name.names.as_slice() else { return None };
        match tree::string(only) {
            Some("smallserial" | "serial2") if type_name.array_bounds.is_empty() => Some(Self::Small),
            Some("serial" | "serial4") if type_name.array_bounds.is_empty() => Some(Self::Middle),
            Some("bigserial" | "serial8") if type_name.array_bounds.is_empty() => Some(Self::Big),
            _ => None,
        }
    }

    /// The integer that an identity column's type is.
    pub(crate) fn of_column(type_name: &pb::TypeName) -> Option<Self> {
        match type_name.names.last().and_then(tree::string) {
            Some("int2") => Some(Self::Small),
            Some("int4") => Some(Self::Middle),
            Some("int8") => Some(Self::Big),
            _ => None,
        }
    }

    /// Its name in SQL.
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Small => "smallint",
            Self::Middle => "integer",
            Self::Big => "bigint",
        }
    }
}
