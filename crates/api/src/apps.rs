//! `/apps`: applications that tenants use.

pub(crate) mod add;
pub(crate) mod list;

use catalog::App;
use serde::Serialize;
use utoipa::ToSchema;

/// An app.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppView {
    /// Its name, which is the database that clients ask for.
    name: String,
    /// What people call it.
    title: String,
    /// A sentence about it.
    description: String,
    /// SHA-256 of its files.
    fingerprint: String,
    /// Whether tenants can be made.
    ready: bool,
    /// How many migrations it has; new tenants get them all.
    version: i32,
    /// RFC 3339.
    #[serde(with = "time::serde::rfc3339")]
    created_at: time::OffsetDateTime,
}

impl From<App> for AppView {
    fn from(app: App) -> Self {
        Self {
            name: app.name.to_string(),
            title: app.title,
            description: app.description,
            fingerprint: app.fingerprint,
            ready: app.ready,
            version: app.version,
            created_at: app.created_at,
        }
    }
}
