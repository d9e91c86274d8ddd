//! `/orphans`: what síndico has made on clusters and no tenant owns.

pub(crate) mod list;
pub(crate) mod sweep;

use lifecycle::{Orphan, Orphans, Unseen};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// What nobody owns at the moment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrphansView {
    /// Names just what is in the report: to be given to have that removed, and nothing that is found later.
    digest: String,
    /// All of them, in the order in which they would be removed.
    items: Vec<OrphanView>,
    /// What could not be judged.
    unseen: Vec<UnseenView>,
}

/// Something that nobody owns.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrphanView {
    /// `rows`, `schema`, `database` and `role` of a tenant, `build` (a database of an app's that is not whole), `app_database` and
    /// `app_role`.
    #[schema(example = "schema")]
    kind: &'static str,
    /// Name of the cluster.
    #[schema(example = "main")]
    cluster: String,
    /// The database that it is in; null for what is the server's.
    database: Option<String>,
    /// Its name; of rows, the table's.
    name: String,
    /// The tenant's id that it carries.
    tenant: Option<Uuid>,
    /// The app, as far as that can be told.
    app: Option<String>,
    /// Of a database, how many bytes it takes.
    bytes: Option<i64>,
    /// Why it is an orphan.
    why: String,
}

/// What could not be judged.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UnseenView {
    /// What.
    what: String,
    /// Why not.
    why: String,
    /// Somebody is at it, so it is not known yet who owns it.
    busy: bool,
}

impl From<Orphans> for OrphansView {
    fn from(found: Orphans) -> Self {
        Self {
            digest: found.digest,
            items: found.items.into_iter().map(OrphanView::from).collect(),
            unseen: found.unseen.into_iter().map(UnseenView::from).collect(),
        }
    }
}

impl From<Orphan> for OrphanView {
    fn from(it: Orphan) -> Self {
        Self {
            kind: it.kind.as_str(),
            cluster: it.cluster,
            database: it.database,
            name: it.name,
            tenant: it.tenant,
            app: it.app.map(|app| app.to_string()),
            bytes: it.bytes,
            why: it.why,
        }
    }
}

impl From<Unseen> for UnseenView {
    fn from(it: Unseen) -> Self {
        Self { what: it.what, why: it.why, busy: it.busy }
    }
}
