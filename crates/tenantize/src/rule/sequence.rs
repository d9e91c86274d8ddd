//! CREATE, ALTER and DROP SEQUENCE, and the sequences behind columns.
//!
//! Where tables are shared every tenant has a sequence of its own in `s_<hex>`, so that numbers start where the app
//! says and tell nothing about others. No role but the tenant's own reaches it.

use pg_query::{NodeEnum, protobuf as pb};

use super::{Rewrite, Sql, refused};
use crate::expr::Integer;
use crate::plan::{Grant, Scope};
use crate::refusal::{Fault, Verdict};
use crate::schema::{Schema, Sequence};
use crate::tree;

pub(super) fn create(name: &str, integer: Integer, options: Vec<pb::Node>) -> Verdict<Sql> {
    let words = format!("CREATE SEQUENCE {} AS {}", domain::quote_ident(name), integer.sql());
    let NodeEnum::CreateSeqStmt(mut sequence) = tree::own_words(&words)? else { return Err(refused::nothing()) };
    sequence.options.extend(options);
    Ok(Sql::Tree(Box::new(tree::node(NodeEnum::CreateSeqStmt(sequence)))))
}

/// The type as a column names it.
pub(super) fn type_name(integer: Integer) -> Verdict<pb::TypeName> {
    let words = format!("CREATE SEQUENCE s AS {}", integer.sql());
    let NodeEnum::CreateSeqStmt(mut sequence) = tree::own_words(&words)? else { return Err(refused::nothing()) };
    let option = sequence.options.pop().and_then(|option| match option.node {
        Some(NodeEnum::DefElem(option)) => option.arg.and_then(|arg| arg.node),
        _ => None,
    });
    match option {
        Some(NodeEnum::TypeName(name)) => Ok(name),
        _ => Err(refused::nothing()),
    }
}

/// An option by its node.
pub(super) fn option(node: &pb::Node) -> Option<&pb::DefElem> {
    match &node.node {
        Some(NodeEnum::DefElem(option)) => Some(option),
        _ => None,
    }
}

/// The parts of the name in an option, such as OWNED BY's.
fn names_in(node: &pb::Node) -> Vec<String> {
    match option(node).and_then(|option| option.arg.as_deref()).and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::List(list)) => tree::strings(&list.items),
        _ => Vec::new(),
    }
}

/// Takes `public.` off the SEQUENCE NAME among the options.
pub(super) fn unqualify_name(options: &mut [pb::Node]) {
    for node in options {
        if let Some(NodeEnum::DefElem(option)) = &mut node.node
            && option.defname == "sequence_name"
            && let Some(NodeEnum::List(list)) = option.arg.as_deref_mut().and_then(|arg| arg.node.as_mut())
            && list.items.len() == 2
            && list.items.first().and_then(tree::string) == Some("public")
        {
            list.items.remove(0);
        }
    }
}

/// Takes SEQUENCE NAME, which `pg_dump` writes for identity columns, out of the options.
pub(super) fn name_among(options: &mut Vec<pb::Node>) -> Verdict<Option<String>> {
    let at = options.iter().position(|node| option(node).is_some_and(|option| option.defname == "sequence_name"));
    let Some(named) = at.map(|at| options.remove(at)) else { return Ok(None) };
    match names_in(&named).as_slice() {
        [name] => Ok(Some(name.clone())),
        [schema, name] if schema == "public" => Ok(Some(name.clone())),
        parts => Err(Fault::unsupported(format!("the name {}", parts.join(".")), "leave the schema out")),
    }
}

/// Changes how a tenant's sequence counts; `None` when nothing changes.
pub(super) fn alter(name: &str, options: Vec<pb::Node>) -> Verdict<Option<Sql>> {
    if options.is_empty() {
        return Ok(None);
    }
    let words = format!("ALTER SEQUENCE {} CYCLE", domain::quote_ident(name));
    let NodeEnum::AlterSeqStmt(mut alter) = tree::own_words(&words)? else { return Err(refused::nothing()) };
    alter.options = options;
    Ok(Some(Sql::of(NodeEnum::AlterSeqStmt(alter))))
}

/// CREATE SEQUENCE.
pub(super) fn apply_create(statement: &pb::CreateSeqStmt, global: bool, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    let scope = if global { Scope::Global } else { Scope::Tenant };
    let relation = own.sequence.as_mut().ok_or_else(refused::nothing)?;
    super::unqualify(relation)?;
    let name = relation.relname.clone();
    if relation.relpersistence == "t" {
        return Err(Fault::unsupported("a temporary sequence", "create an ordinary one"));
    }
    "p".clone_into(&mut relation.relpersistence);
    if schema.sequence(&name).is_some() && own.if_not_exists {
        return Ok(Rewrite::dropped(format!("there is a sequence {name} already")));
    }
    own.if_not_exists = false;
    schema.must_be_free(&name)?;
    if global && let Some(relation) = own.sequence.as_mut() {
        "global".clone_into(&mut relation.schemaname);
    }
    let owner = take_owner(&mut own.options, schema)?;
    let free_options = own.options.clone();
    if let Some(owner) = &owner {
        own.options.push(owned_by(owner, scope)?);
    }
    let owner = owner.and_then(Ownership::owner);
    schema.sequences_mut().push(Sequence { name: name.clone(), scope, owner, carrier: None });
    let mut rewrite = Rewrite::nothing(scope);
    rewrite.own.push(Sql::of(NodeEnum::CreateSeqStmt(own.clone())));
    if global {
        let grant = format!("GRANT SELECT ON SEQUENCE global.{} TO PUBLIC", domain::quote_ident(&name));
        rewrite.shared.push(Sql::of(NodeEnum::CreateSeqStmt(own)));
        rewrite.shared.push(Sql::Text(grant.clone()));
        rewrite.own.push(Sql::Text(grant));
    } else {
        let tenant = pb::CreateSeqStmt { options: free_options, ..own };
        rewrite.tenant.push(Sql::of(NodeEnum::CreateSeqStmt(tenant)));
        rewrite.grants.push(Grant::Sequence(name));
    }
    Ok(rewrite)
}

/// ALTER SEQUENCE.
pub(super) fn apply_alter(statement: &pb::AlterSeqStmt, schema: &mut Schema) -> Verdict<Rewrite> {
    let mut own = statement.clone();
    let relation = own.sequence.as_mut().ok_or_else(refused::nothing)?;
    super::unqualify(relation)?;
    let name = relation.relname.clone();
    let Some(scope) = schema.sequence(&name).map(|sequence| sequence.scope) else {
        if own.missing_ok {
            return Ok(Rewrite::dropped(format!("there is no sequence {name} at this point")));
        }
        return Err(Fault::new(
            format!("there is no sequence {name} at this point"),
            "create it in an earlier statement, or correct the name",
        ));
    };
    own.missing_ok = false;
    let owner = take_owner(&mut own.options, schema)?;
    let tenant = alter(&name, own.options.clone())?;
    if let Some(owner) = owner {
        own.options.push(owned_by(&owner, scope)?);
        for known in schema.sequences_mut().iter_mut().filter(|known| known.name == name) {
            known.owner = owner.clone().owner();
        }
    }
    let mut rewrite = Rewrite::nothing(scope);
    rewrite.own.push(Sql::of(NodeEnum::AlterSeqStmt(own.clone())));
    match scope {
        Scope::Global => rewrite.shared.push(Sql::of(NodeEnum::AlterSeqStmt(own))),
        Scope::Tenant => rewrite.tenant.extend(tenant),
    }
    Ok(rewrite)
}

/// A column, by its table's name and its own.
type Owner = (String, String);

/// What OWNED BY says.
#[derive(Debug, Clone)]
enum Ownership {
    None,
    Column(Owner),
}

impl Ownership {
    fn owner(self) -> Option<Owner> {
        match self {
            Self::None => None,
            Self::Column(owner) => Some(owner),
        }
    }
}

/// Takes OWNED BY out of the options: sequence and table are in different schemas where tables are shared.
fn take_owner(options: &mut Vec<pb::Node>, schema: &Schema) -> Verdict<Option<Ownership>> {
    let at = options.iter().position(|node| option(node).is_some_and(|option| option.defname == "owned_by"));
    let Some(owned) = at.map(|at| options.remove(at)) else { return Ok(None) };
    let parts = names_in(&owned);
    let (table, column) = match parts.as_slice() {
        [none] if none == "none" => return Ok(Some(Ownership::None)),
        [table, column] => (table, column),
        [schema, table, column] if schema == "public" => (table, column),
        _ => return Err(Fault::unsupported(format!("the name {}", parts.join(".")), "leave the schema out")),
    };
    schema.table(table)?.column(column)?;
    Ok(Some(Ownership::Column((table.clone(), column.clone()))))
}

fn owned_by(ownership: &Ownership, scope: Scope) -> Verdict<pb::Node> {
    let place = if scope == Scope::Global { "global." } else { "" };
    let name = match ownership {
        Ownership::None => "NONE".to_owned(),
        Ownership::Column((table, column)) => {
            format!("{place}{}.{}", domain::quote_ident(table), domain::quote_ident(column))
        }
    };
    match tree::own_words(&format!("ALTER SEQUENCE s OWNED BY {name}"))? {
        NodeEnum::AlterSeqStmt(mut alter) => alter.options.pop().ok_or_else(refused::nothing),
        _ => Err(refused::nothing()),
    }
}
