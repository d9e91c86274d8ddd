//! Domains: types with checks.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, own_name, plpgsql};
use crate::expr::{self, Place};
use crate::plan::Scope;
use crate::refusal::{Fault, Verdict};
use crate::schema::{Kind, Schema, Type};
use crate::tree;

/// CREATE DOMAIN.
pub(super) fn create(statement: &pb::CreateDomainStmt, scope: Scope, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut created = statement.clone();
    let name = own_name(&mut created.domainname)?;
    schema.type_must_be_free(&name)?;
    if let Some(base) = &mut created.type_name {
        expr::check_type(base, |table| schema.find(table).is_some())?;
    }
    if let Some(collate) = &mut created.coll_clause {
        expr::unqualify(&mut collate.collname, "the collation")?;
    }
    created.constraints.iter_mut().try_for_each(|node| constraint(node, schema))?;
    let fields = created.type_name.as_ref().is_some_and(|base| plpgsql::has_fields(base, schema));
    schema.objects.types.push(Type { name, scope, kind: Kind::Domain { fields } });
    super::place_name(&mut created.domainname, scope);
    Ok(Rewrite::alike(scope, NodeEnum::CreateDomainStmt(Box::new(created))))
}

/// ALTER DOMAIN.
pub(super) fn alter(statement: &pb::AlterDomainStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut altered = statement.clone();
    let name = own_name(&mut altered.type_name)?;
    let known = schema.objects.type_mut(&name)?;
    if !matches!(known.kind, Kind::Domain { .. }) {
        return Err(Fault::new(format!("type {name} is not a domain"), "correct the name"));
    }
    let scope = known.scope;
    match altered.def.as_deref_mut() {
        // ADD CONSTRAINT holds a constraint, SET DEFAULT an expression.
        Some(node) if altered.subtype == "C" => constraint(node, schema)?,
        Some(node) => expr::walk(node, &mut ValuePlace { schema })?,
        None => {}
    }
    Ok(Rewrite::alike(scope, NodeEnum::AlterDomainStmt(Box::new(altered))))
}

fn constraint(node: &mut pb::Node, schema: &Schema) -> Verdict<()> {
    let Some(NodeEnum::Constraint(constraint)) = &mut node.node else { return Err(super::refused::nothing()) };
    expr::walk_opt(&mut constraint.raw_expr, &mut ValuePlace { schema })
}

/// Expressions of a domain know nothing but the value.
struct ValuePlace<'a> {
    schema: &'a Schema,
}

impl Place for ValuePlace<'_> {
    fn column(&mut self, table: Option<&str>, column: &str) -> Verdict<()> {
        if table.is_none() && column == "value" {
            return Ok(());
        }
        Err(Fault::new(format!("a domain knows no column {column}"), "write VALUE for the value that is checked"))
    }

    fn query(&mut self, _: &mut pb::Node) -> Verdict<()> {
        Err(Fault::new("PostgreSQL allows no sub-query in a domain", "check the value itself, or use a foreign key"))
    }

    fn call(&mut self, call: &mut pb::FuncCall) -> Verdict<bool> {
        super::owner_rights::check_call(call, "a domain", self.schema).map(|()| false)
    }

    fn is_table(&self, name: &str) -> bool {
        self.schema.find(name).is_some()
    }
}

/// The names in a constraint of a domain: the type, and the constraint's own.
pub(super) fn of_constraint(object: &mut pb::Node) -> Verdict<(String, String)> {
    let Some(NodeEnum::List(list)) = &mut object.node else { return Err(super::refused::nothing()) };
    let [domain, constraint] = list.items.as_mut_slice() else { return Err(super::refused::nothing()) };
    let constraint = tree::string(constraint).unwrap_or_default().to_owned();
    Ok((super::composite::of_type(domain)?, constraint))
}
