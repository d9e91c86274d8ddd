//! What tables look like, as the server's catalog has them, and how two differ.
//!
//! Names of schemas are taken out, so that tables of a tenant's own look alike in a schema and in a database. Privileges are no part of
//! it: those are read back when they are given.

pub(crate) mod mark;

use catalog::Shape;

use crate::LifecycleError;
use crate::server::Session;

const LINES: &str = concat!(include_str!("shape/shape.sql"), "SELECT line FROM alike ORDER BY line");
const FINGERPRINT: &str = concat!(
    include_str!("shape/shape.sql"),
    "SELECT encode(sha256(convert_to(coalesce(string_agg(line, E'\\n' ORDER BY line), ''), 'UTF8')), 'hex') FROM alike"
);

/// Of two lists of lines, so many that only one has are told.
const TOLD: usize = 20;

/// Under which names are written the same whatever else a session finds.
const PATH: &str = "SET search_path = pg_catalog, pg_temp";

/// What tells the ways apart in which tables are looked at.
pub(crate) fn read_by() -> String {
    let text = format!("{LINES}{}", mark::MARK);
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
    data_encoding::HEXLOWER.encode(digest.as_ref().get(..8).unwrap_or_default())
}

/// The shape of what a schema holds.
pub(crate) async fn of_schema(session: &Session, schema: &str) -> Result<Shape, LifecycleError> {
    let fault = |error| session.fault(&error);
    session.run(PATH).await?;
    let rows = session.query(LINES, &[&schema]).await.map_err(fault)?;
    let lines = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(fault)?;
    let catalog_rows = mark::take(session, schema).await.map_err(fault)?.rows();
    Ok(Shape { fingerprint: fingerprint(session, schema).await.map_err(fault)?, lines, catalog_rows })
}

/// Only its fingerprint.
pub(crate) async fn fingerprint(session: &Session, schema: &str) -> Result<String, tokio_postgres::Error> {
    session.batch_execute(PATH).await?;
    session.ask_again(FINGERPRINT, schema).await
}

/// What tells two shapes apart, a line each; `None` if nothing does.
pub(crate) fn difference(expected: &Shape, found: &Shape) -> Option<String> {
    if expected.fingerprint == found.fingerprint {
        return None;
    }
    let lacking = expected.lines.iter().filter(|line| !found.lines.contains(line)).map(|line| format!("- {line}"));
    let strange = found.lines.iter().filter(|line| !expected.lines.contains(line)).map(|line| format!("+ {line}"));
    let mut told: Vec<String> = lacking.chain(strange).collect();
    if told.len() > TOLD {
        let more = told.len() - TOLD;
        told.truncate(TOLD);
        told.push(format!("and {more} more"));
    }
    Some(told.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(lines: &[&str]) -> Shape {
        Shape {
            fingerprint: lines.join("\n"),
            lines: lines.iter().map(|line| (*line).to_owned()).collect(),
            catalog_rows: None,
        }
    }

    #[test]
    fn a_difference_names_what_is_lacking_and_what_is_strange() {
        let expected = shape(&["column a.x 1 int", "index i"]);
        assert_eq!(difference(&expected, &expected.clone()), None);
        let told = difference(&expected, &shape(&["column a.x 1 text", "index i"])).expect("they differ");
        assert_eq!(told, "- column a.x 1 int\n+ column a.x 1 text");
    }

    #[test]
    fn a_long_difference_is_cut() {
        let many: Vec<String> = (0..50).map(|nth| format!("column a.c{nth}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let told = difference(&shape(&[]), &shape(&many)).expect("they differ");
        assert_eq!(told.lines().count(), TOLD + 1);
        assert!(told.ends_with("and 30 more"), "{told}");
    }
}
