//! Constraints: what an app may write, and what keys and checks become.

use pg_query::{NodeEnum, protobuf as pb};

use super::place::{TablePlace, mentions};
use super::{exclusion, foreign_key, sequence, storage, unqualify};
use crate::name::addition;
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Check, Key, Schema};
use crate::tree;

/// Columns that a key of the app's may have: PostgreSQL allows 32, and one is for `tenant_id`.
pub(super) const MAX_KEY_COLUMNS: usize = 31;

/// Fails for what a constraint of an app may not have, and takes `public.` off its expressions and references.
pub(super) fn check(constraint: &mut pb::Constraint, place: &mut TablePlace<'_>) -> Verdict<()> {
    use pb::ConstrType as Kind;
    match constraint.contype() {
        Kind::ConstrNull
        | Kind::ConstrAttrDeferrable
        | Kind::ConstrAttrNotDeferrable
        | Kind::ConstrAttrDeferred
        | Kind::ConstrAttrImmediate => Ok(()),
        Kind::ConstrNotnull if constraint.keys.is_empty() && !constraint.is_no_inherit => Ok(()),
        Kind::ConstrNotnull => Err(Fault::unsupported("NOT NULL in this form", "write NOT NULL on the column")),
        Kind::ConstrDefault => place.default(&mut constraint.raw_expr),
        Kind::ConstrGenerated if constraint.generated_kind == "s" => {
            mentions(&mut constraint.raw_expr, place).map(drop)
        }
        Kind::ConstrGenerated => Err(Fault::unsupported("a virtual generated column", "add the word STORED")),
        Kind::ConstrIdentity => check_identity(constraint),
        Kind::ConstrCheck if constraint.is_enforced => mentions(&mut constraint.raw_expr, place).map(drop),
        Kind::ConstrPrimary | Kind::ConstrUnique => check_key(constraint),
        Kind::ConstrForeign if constraint.is_enforced && !constraint.fk_with_period && !constraint.pk_with_period => {
            constraint.pktable.as_mut().map_or(Ok(()), unqualify)
        }
        Kind::ConstrCheck | Kind::ConstrForeign | Kind::ConstrAttrEnforced | Kind::ConstrAttrNotEnforced => {
            Err(Fault::unsupported("ENFORCED, NOT ENFORCED and PERIOD", "leave it out: PostgreSQL 15 does not have it"))
        }
        Kind::ConstrExclusion => exclusion::check(constraint, place),
        Kind::Undefined => Err(super::refused::nothing()),
    }
}

fn check_key(constraint: &mut pb::Constraint) -> Verdict<()> {
    if !constraint.indexname.is_empty() {
        return Err(Fault::unsupported("USING INDEX", "list the columns of the constraint"));
    }
    storage::check_index(&constraint.options)?;
    storage::check_tablespace(&constraint.indexspace)?;
    constraint.indexspace.clear();
    if constraint.without_overlaps || constraint.where_clause.is_some() {
        return Err(Fault::unsupported("WITHOUT OVERLAPS", "leave it out: PostgreSQL 15 does not have it"));
    }
    Ok(())
}

/// Fails for options that sequences do not have, and takes `public.` off the sequence's name.
pub(super) fn check_identity(constraint: &mut pb::Constraint) -> Verdict<()> {
    const ALLOWED: [&str; 7] = ["increment", "minvalue", "maxvalue", "start", "cache", "cycle", "sequence_name"];
    sequence::unqualify_name(&mut constraint.options);
    if identity_options(constraint).all(|name| ALLOWED.contains(&name)) {
        return Ok(());
    }
    Err(Fault::unsupported("this option of an identity column", "leave it out"))
}

/// The options in the brackets after AS IDENTITY, in small letters; none for other constraints.
pub(super) fn identity_options(constraint: &pb::Constraint) -> impl Iterator<Item = &str> {
    let options =
        if constraint.contype() == pb::ConstrType::ConstrIdentity { constraint.options.as_slice() } else { &[] };
    options.iter().map(|option| match &option.node {
        Some(NodeEnum::DefElem(option)) => option.defname.as_str(),
        _ => "",
    })
}

/// Gives a table's constraint its place in the schema and, on a tenant's table, the form it has where tables are
/// shared. Gives a check that has to come with it.
pub(super) fn settle(
    constraint: &mut pb::Constraint,
    table: &str,
    schema: &mut Schema,
) -> Verdict<Option<pb::Constraint>> {
    use pb::ConstrType as Kind;
    match constraint.contype() {
        Kind::ConstrPrimary | Kind::ConstrUnique => settle_key(constraint, table, schema).map(|()| None),
        Kind::ConstrForeign => foreign_key::settle(constraint, table, schema),
        Kind::ConstrCheck => settle_check(constraint, table, schema).map(|()| None),
        Kind::ConstrExclusion => exclusion::settle(constraint, table, schema).map(|()| None),
        _ => Err(Fault::unsupported("a constraint of this kind on a table", "write it on the column")),
    }
}

fn settle_key(constraint: &mut pb::Constraint, table: &str, schema: &mut Schema) -> Verdict<()> {
    let primary = constraint.contype() == pb::ConstrType::ConstrPrimary;
    let columns = tree::strings(&constraint.keys);
    let including = tree::strings(&constraint.including);
    let model = schema.table(table)?;
    let scope = model.scope;
    columns.iter().chain(&including).try_for_each(|column| model.column(column).map(drop))?;
    if columns.len() + including.len() > MAX_KEY_COLUMNS {
        return Err(Fault::unsupported("a key of more than 31 columns", "use fewer; one more is for tenant_id"));
    }
    if primary && model.primary_key().is_some() {
        return Err(Fault::new(format!("table {table} has a primary key already"), "keep one of the two"));
    }
    let name = if !constraint.conname.is_empty() {
        free_constraint(&constraint.conname, table, schema)?;
        schema.must_be_free(&constraint.conname)?;
        constraint.conname.clone()
    } else if primary {
        schema.choose_relation(scope, table, None, "pkey", true)?
    } else {
        let addition = addition(columns.iter().chain(&including).map(String::as_str));
        schema.choose_relation(scope, table, Some(&addition), "key", true)?
    };
    constraint.conname.clone_from(&name);
    if scope == Scope::Tenant {
        constraint.keys.insert(0, tree::name(tree::TENANT_ID));
    }
    schema.table_mut(table)?.keys.push(Key { name, columns, including, primary, attached: None });
    Ok(())
}

/// Checks stay as they are; their names are worked out because others must not take them.
pub(super) fn settle_check(constraint: &mut pb::Constraint, table: &str, schema: &mut Schema) -> Verdict<()> {
    let model = schema.table(table)?;
    let columns: Vec<String> = model.column_names().map(str::to_owned).collect();
    let mentions = mentions(&mut constraint.raw_expr, &mut TablePlace::new(schema, table, &columns))?;
    let name = if constraint.conname.is_empty() {
        let only = if let [only] = mentions.as_slice() { Some(only.as_str()) } else { None };
        schema.choose_constraint(model.scope, table, only, "check")
    } else {
        free_constraint(&constraint.conname, table, schema)?;
        constraint.conname.clone()
    };
    schema.table_mut(table)?.checks.push(Check { name, mentions });
    Ok(())
}

/// Fails if the table has a constraint of this name.
pub(super) fn free_constraint(name: &str, table: &str, schema: &Schema) -> Verdict<()> {
    if schema.table(table)?.constraints().any(|taken| taken == name) {
        return Err(Fault::new(format!("table {table} has a constraint {name} already"), "choose another name"));
    }
    Ok(())
}
