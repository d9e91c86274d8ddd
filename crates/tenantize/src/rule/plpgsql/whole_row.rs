//! Whole rows of a trigger in PL/pgSQL: where tenants share tables they have `tenant_id`, and what is written from them
//! should be the same in every isolation.

use pg_query::protobuf::{ScanToken, Token};

use crate::piece::span;

/// The body with `tenant_id` taken out of the JSON and hstore that it makes of NEW and OLD.
pub(super) fn without_tenant(body: &str) -> String {
    let Ok(scanned) = pg_query::scan(body) else { return body.to_owned() };
    let comment = |token: &ScanToken| matches!(token.token(), Token::SqlComment | Token::CComment);
    let tokens: Vec<ScanToken> = scanned.tokens.into_iter().filter(|token| !comment(token)).collect();
    let word =
        |at: usize| tokens.get(at).and_then(|token| body.get(span(token))).unwrap_or_default().to_ascii_lowercase();
    let is_row = |text: &str| matches!(text, "new" | "old");
    let (mut out, mut done) = (String::with_capacity(body.len()), 0);
    for at in 0..tokens.len() {
        if word(at + 1) != "(" || !is_row(&word(at + 2)) {
            continue;
        }
        // As an argument `NEW.*` is the whole row as well.
        let close = if word(at + 3) == "." && word(at + 4) == "*" { at + 5 } else { at + 3 };
        let row = || word(at + 2).to_ascii_uppercase();
        let instead = match word(at).as_str() {
            _ if word(close) != ")" => None,
            "to_jsonb" => Some(format!("(to_jsonb({}) - 'tenant_id'::text)", row())),
            "hstore" => Some(format!("(hstore({}) - 'tenant_id'::text)", row())),
            // json has no such operator, and jsonb would put the members into another order.
            "row_to_json" | "to_json" => Some(format!(
                "(SELECT json_object_agg(e.key, e.value) FROM json_each(row_to_json({})) AS e WHERE e.key <> 'tenant_id')",
                row()
            )),
            _ => None,
        };
        if let (Some(instead), Some(first), Some(last)) = (instead, tokens.get(at), tokens.get(close)) {
            out.push_str(body.get(done..span(first).start).unwrap_or_default());
            out.push_str(&instead);
            done = span(last).end;
        }
    }
    out.push_str(body.get(done..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::without_tenant;

    #[test]
    fn json_of_a_row_has_no_tenant() {
        let body = without_tenant("INSERT INTO a VALUES (to_jsonb(new.*), row_to_json( OLD )); RETURN NEW;");
        assert_eq!(
            body,
            "INSERT INTO a VALUES ((to_jsonb(NEW) - 'tenant_id'::text), (SELECT json_object_agg(e.key, e.value) FROM \
             json_each(row_to_json(OLD)) AS e WHERE e.key <> 'tenant_id')); RETURN NEW;"
        );
        assert_eq!(without_tenant("x := hstore(NEW, 1) || to_jsonb(NEW.a)"), "x := hstore(NEW, 1) || to_jsonb(NEW.a)");
    }
}
