//! What a block asks the catalog before it does something.

use pg_query::{NodeEnum, protobuf as pb};

use super::Guard;
use crate::tree;

/// What a condition asks: `[NOT] EXISTS (…)` over the catalog, or a variable that holds the answer.
pub(super) fn asked(condition: &str, answers: &[(String, Guard)]) -> Option<Guard> {
    let query = format!("SELECT {condition}");
    if let Some((texts, tree)) = over_catalog(&query) {
        return exists(&only_target(tree)?, &texts);
    }
    let kind = only_target(tree::parse(&query).ok()?)?;
    match kind {
        NodeEnum::BoolExpr(not) if not.boolop() == pb::BoolExprType::NotExpr => {
            held(not.args.first()?.node.as_ref()?, answers)?.denied()
        }
        kind => held(&kind, answers),
    }
}

/// What `SELECT … INTO a variable` asks of the catalog: `EXISTS (…)`, or whether there are any.
pub(super) fn kept(query: &str) -> Option<Guard> {
    let (texts, tree) = over_catalog(query)?;
    let kind = only_target(tree)?;
    if let Some(guard) = exists(&kind, &texts) {
        return Some(guard);
    }
    let NodeEnum::AExpr(compared) = kind else { return None };
    let counts = matches!(
        compared.lexpr.as_deref().and_then(|left| left.node.as_ref()),
        Some(NodeEnum::FuncCall(call)) if call.agg_star && tree::strings(&call.funcname) == ["count"]
    );
    let zero = matches!(
        compared.rexpr.as_deref().and_then(|right| right.node.as_ref()),
        Some(NodeEnum::AConst(pb::AConst {
            val: Some(pb::a_const::Val::Ival(pb::Integer { ival: 0 })),
            isnull: false,
            ..
        }))
    );
    match compared.name.first().and_then(tree::string).filter(|_| counts && zero)? {
        "<>" | ">" => Some(Guard::If(texts)),
        "=" => Some(Guard::IfNot(texts)),
        _ => None,
    }
}

impl Guard {
    /// The opposite of an answer.
    fn denied(self) -> Option<Self> {
        match self {
            Self::If(texts) => Some(Self::IfNot(texts)),
            Self::IfNot(texts) => Some(Self::If(texts)),
            Self::None | Self::Exists | Self::Lacks => None,
        }
    }
}

/// The last answer that a variable got.
fn held(kind: &NodeEnum, answers: &[(String, Guard)]) -> Option<Guard> {
    let NodeEnum::ColumnRef(variable) = kind else { return None };
    let [name] = variable.fields.as_slice() else { return None };
    let name = tree::string(name)?;
    answers.iter().rev().find(|(known, _)| known == name).map(|(_, answer)| answer.clone())
}

fn exists(kind: &NodeEnum, texts: &[String]) -> Option<Guard> {
    let is_exists = |kind: &NodeEnum| matches!(kind, NodeEnum::SubLink(link) if link.sub_link_type() == pb::SubLinkType::ExistsSublink);
    match kind {
        kind if is_exists(kind) => Some(Guard::If(texts.to_vec())),
        NodeEnum::BoolExpr(not) if not.boolop() == pb::BoolExprType::NotExpr => {
            not.args.first()?.node.as_ref().is_some_and(is_exists).then(|| Guard::IfNot(texts.to_vec()))
        }
        _ => None,
    }
}

/// A query of nothing but the catalog, and the texts in it.
fn over_catalog(query: &str) -> Option<(Vec<String>, pb::Node)> {
    let tree = tree::parse(query).ok()?;
    let of_catalog = |(schema, name): &(String, String)| match schema.as_str() {
        "pg_catalog" | "information_schema" => true,
        "" => name.starts_with("pg_"),
        _ => false,
    };
    let relations = tree::relations(&tree);
    (!relations.is_empty() && relations.iter().all(of_catalog)).then(|| (tree::strings_in(&tree), tree))
}

fn only_target(query: pb::Node) -> Option<NodeEnum> {
    let Some(NodeEnum::SelectStmt(mut select)) = query.node else { return None };
    let Some(NodeEnum::ResTarget(target)) = select.target_list.pop().filter(|_| select.target_list.is_empty())?.node
    else {
        return None;
    };
    target.val?.node
}
