//! Whether anything has changed tables' catalog since somebody looked, told without reading what it means.
//!
//! What a migration does to tables that are as they were known to be is what it did in its rehearsal. So their fingerprint need not be
//! taken again: it is enough that nobody else has changed the catalog, and that there are as many rows of it as in the rehearsal. Each row of
//! PostgreSQL's catalogs names the transaction that wrote it, and whoever changes it writes it anew.

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER;
use domain::TenantId;
use tenantize::Plan;
use uuid::Uuid;

use crate::server::Session;

pub(super) const MARK: &str = include_str!("mark.sql");

/// What there is of a schema in the catalog, as a transaction sees it. Two that are alike are of the same rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark(String);

impl Mark {
    /// How it is written down, with what such tables were built from: they are as others only if those are built from the same.
    pub(crate) fn written(&self, built_from: &str) -> String {
        format!("{}:{built_from}", self.0)
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> Option<i64> {
        self.0.split(':').next().and_then(|rows| rows.parse().ok())
    }
}

/// What tells the statements apart that tables in a schema are built from: an app's, as this síndico writes them.
pub(crate) fn built_from(plan: &Plan) -> String {
    let mut context = Context::new(&SHA256);
    for statement in plan.own_schema_ddl(TenantId::from_uuid(Uuid::nil())) {
        context.update(statement.sql.as_bytes());
        context.update(b";");
    }
    HEXLOWER.encode(context.finish().as_ref().get(..8).unwrap_or_default())
}

/// Takes one.
pub(crate) async fn take(session: &Session, schema: &str) -> Result<Mark, tokio_postgres::Error> {
    Ok(Mark(session.ask_again(MARK, schema).await?))
}
