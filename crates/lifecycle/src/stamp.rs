//! Which migrations tables have, written beside them: in the transaction that gives them to the tables, so that it cannot be told otherwise
//! than it is. It is a comment on a schema, which goes where the tables go and is gone with them.

use domain::{Isolation, Placement, TenantId, quote_ident, quote_literal};
use tokio_postgres::SimpleQueryMessage;

use crate::LifecycleError;
use crate::server::Session;

/// The schema whose comment is about a whole database: the tables that tenants share, or those of the one tenant that it belongs to.
pub(crate) const WHOLE: &str = "sindico";

/// The schema whose comment is about what is the same for all tenants.
pub(crate) const GLOBAL: &str = "global";

/// The schema whose comment is about a tenant's tables. Where those are shared it is about the rows that migrations have written.
pub(crate) fn of_tenant(tenant: TenantId, placement: &Placement) -> String {
    match placement.isolation {
        Isolation::Shared => tenant.sequence_schema(),
        Isolation::Schema => placement.schema.clone(),
        Isolation::Database | Isolation::Cluster => WHOLE.to_owned(),
    }
}

/// The statement that writes it.
pub(crate) fn write(schema: &str, version: i32) -> String {
    write_marked(schema, version, None)
}

/// The same with a written [`crate::shape::mark::Mark`]: as long as the tables have it, they are as they have to be.
pub(crate) fn write_marked(schema: &str, version: i32, mark: Option<&str>) -> String {
    let mark = mark.map(|mark| format!(" {mark}")).unwrap_or_default();
    let comment = quote_literal(&format!("{PREFIX}{version}{mark}"));
    format!("COMMENT ON SCHEMA {} IS {comment}", quote_ident(schema))
}

const PREFIX: &str = "sindico version ";

/// The query that reads it, for [`answer`].
pub(crate) fn question(schema: &str) -> String {
    format!(
        "SELECT coalesce((SELECT coalesce(obj_description(oid, 'pg_namespace'), 'none') FROM pg_namespace WHERE nspname = {}), 'gone')",
        quote_literal(schema)
    )
}

/// What its answer says.
pub(crate) fn answer(said: Option<&str>) -> Stamp {
    match said {
        None | Some("gone") => Stamp::Gone,
        Some(comment) => {
            let words = comment.strip_prefix(PREFIX).unwrap_or_default();
            let version = words.split(' ').next().and_then(|version| version.parse().ok());
            version.map_or(Stamp::None, Stamp::Version)
        }
    }
}

/// The mark that is written beside the version, if there is one.
pub(crate) fn mark(said: Option<&str>) -> Option<&str> {
    said?.strip_prefix(PREFIX)?.split_once(' ').map(|(_, mark)| mark)
}

/// Reads it.
pub(crate) async fn read(session: &Session, schema: &str) -> Result<Stamp, LifecycleError> {
    let said = session.simple_query(&question(schema)).await.map_err(|error| session.fault(&error))?;
    let said = said.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    Ok(answer(said))
}

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stamp {
    /// There is no such schema.
    Gone,
    /// It was made by a síndico that wrote none.
    None,
    /// So many migrations.
    Version(i32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let written = write("t_x", 12);
        let comment = written.split('\'').nth(1);
        assert_eq!((answer(comment), mark(comment)), (Stamp::Version(12), None));
        let marked = "sindico version 12 604:-12";
        assert_eq!((answer(Some(marked)), mark(Some(marked))), (Stamp::Version(12), Some("604:-12")));
        assert_eq!((answer(None), answer(Some("gone"))), (Stamp::Gone, Stamp::Gone));
        for other in ["none", "standard public schema", "sindico version x"] {
            assert_eq!(answer(Some(other)), Stamp::None, "{other}");
        }
    }
}
