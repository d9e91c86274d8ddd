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

fn option(node: &pb::Node) -> Option<&pb::DefElem> {
    match &node.node {
        Some(NodeEnum::DefElem(option)) => Some(option),
        _ => None,
    }
}

/// A name in an option, such as OWNED BY's, without `public`.
fn names_in(option: &pb::DefElem) -> Verdict<Vec<String>> {
    let names = match option.arg.as_deref().and_then(|arg| arg.node.as_ref()) {
        Some(NodeEnum::List(list)) => tree::strings(&list.items),
        _ => Vec::new(),
    };
    Ok(names)
}

/// Takes SEQUENCE NAME, which `pg_dump` writes for identity columns, out of the options.
pub(super) fn name_among(options: &mut Vec<pb::Node>) -> Verdict<Option<String>> {
    let at = options.iter().position(|node| option(node).is_some_and(|option| option.defname == "sequence_name"));
    let Some(named) = at.map(|at| options.remove(at)) else { return Ok(None) };
    let names = option(&named).map_or_else(|| Ok(Vec::new()), names_in)?;
    match names.as_slice() {
        [name] => Ok(Some(name.clone())),
        [schema, name] if schema == "public" => Ok(Some(name.clone())),
        names => Err(Fault::unsupported(format!("the name {}", names.join(".")), "leave the schema out")),
    }
}
