//! What PostgreSQL's reader of PL/pgSQL is told of a function besides its body.

use pg_query::{NodeEnum, protobuf as pb};
use serde_json::Value;

use super::{Around, Piece, collect, declared, stand_in};
use crate::refusal::Verdict;
use crate::rule::body;
use crate::schema::Schema;
use crate::tree;

/// The pieces of SQL in a function's body.
pub(super) fn pieces(function: &pb::CreateFunctionStmt, source: &str, schema: &Schema) -> Verdict<Vec<Piece>> {
    let read = |source: &str| {
        let parsed = parsed(function, source, schema)?;
        let mut pieces = Vec::new();
        collect(&parsed, "", &Around::default(), &mut pieces);
        Ok(pieces)
    };
    let body = declared::with_stand_ins(source, schema);
    match read(&body.text) {
        Ok(pieces) if !pieces.iter().any(|piece: &Piece| piece.text.contains(&body.mark)) => Ok(pieces),
        // What was taken for a type was none.
        Ok(_) => read(source),
        Err(fault) => read(source).map_err(|_| fault),
    }
}

fn parsed(function: &pb::CreateFunctionStmt, source: &str, schema: &Schema) -> Verdict<Value> {
    let returned = function.return_type.as_ref().and_then(|named| named.names.last()).and_then(tree::string);
    if returned == Some("trigger") {
        return body::parse_plpgsql(source);
    }
    let written = |(parameter, stand_in): (&pb::FunctionParameter, &str)| {
        let mode = match parameter.mode() {
            mode if goes_out(mode) && mode != pb::FunctionParameterMode::FuncParamInout => "OUT ",
            pb::FunctionParameterMode::FuncParamInout => "INOUT ",
            _ => "",
        };
        let name = if parameter.name.is_empty() { String::new() } else { domain::quote_ident(&parameter.name) };
        format!("{mode}{name} {stand_in}")
    };
    let arguments: Vec<String> = parameters(function, schema).map(written).collect();
    body::read_plpgsql(&arguments.join(", "), &result(function, schema), source)
}

/// The function's arguments, and what stands in for their types.
fn parameters<'a>(
    function: &'a pb::CreateFunctionStmt,
    schema: &'a Schema,
) -> impl Iterator<Item = (&'a pb::FunctionParameter, &'static str)> {
    function.parameters.iter().filter_map(|node| match &node.node {
        Some(NodeEnum::FunctionParameter(parameter)) => {
            let named = parameter.arg_type.as_ref();
            Some((parameter.as_ref(), named.map_or(stand_in::RECORD, |named| stand_in::of_type(named, schema))))
        }
        _ => None,
    })
}

fn goes_out(mode: pb::FunctionParameterMode) -> bool {
    use pb::FunctionParameterMode as Mode;
    matches!(mode, Mode::FuncParamOut | Mode::FuncParamTable | Mode::FuncParamInout)
}

/// The result's type: PostgreSQL wants the one of the arguments that go out, and `record` for several.
fn result(function: &pb::CreateFunctionStmt, schema: &Schema) -> String {
    let out: Vec<&str> =
        parameters(function, schema).filter(|(parameter, _)| goes_out(parameter.mode())).map(|(_, of)| of).collect();
    let returned = function.return_type.as_ref();
    let set = if returned.is_some_and(|named| named.setof) { "SETOF " } else { "" };
    let name = returned.and_then(|named| named.names.last()).and_then(tree::string);
    let of = match (out.as_slice(), name) {
        ([one], _) => one,
        ([], None | Some("void")) => "void",
        // `$0` is a variable only where the type depends on the arguments.
        ([], Some(name @ ("anyelement" | "anyarray" | "anycompatible" | "anycompatiblearray"))) => name,
        _ => stand_in::RECORD,
    };
    format!("{set}{of}")
}
