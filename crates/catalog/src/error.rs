//! What can go wrong with control data, by whose fault it is.

use domain::{AppName, ClusterName, Isolation, Slug};

/// Failures of the catalog. Callers' faults have variants of their own; the rest is the installation's.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A slug is given once per installation.
    #[error("slug \"{0}\" is already taken by another tenant; choose another slug")]
    SlugTaken(Slug),
    /// Apps are registered once.
    #[error(
        "app \"{0}\" is already registered with other files; `sindico migrate apply <dir>` brings it and its tenants to these, or choose another name"
    )]
    AppTaken(AppName),
    /// The tenant names an app nobody registered.
    #[error("app \"{0}\" is not registered; register it with `sindico app add <dir>`")]
    AppUnknown(AppName),
    /// The app is still being prepared, or its preparation was cut off.
    #[error("app \"{0}\" is still being prepared; try again in a moment")]
    AppNotReady(AppName),
    /// The cluster asked for does not exist.
    #[error("cluster \"{0}\" is not registered; `sindico cluster list` shows those that are")]
    ClusterUnknown(ClusterName),
    /// The cluster asked for is of the other kind.
    #[error("cluster \"{cluster}\" does not take tenants of isolation {isolation}: {why}")]
    ClusterUnfit {
        /// The cluster that was named.
        cluster: ClusterName,
        /// What the tenant wanted.
        isolation: Isolation,
        /// The difference.
        why: &'static str,
    },
    /// The cluster asked for has no place left, or is still being prepared.
    #[error("cluster \"{0}\" has no room at the moment; leave the cluster out to use any that has, or name another")]
    ClusterFull(ClusterName),
    /// No registered cluster has a place left.
    #[error("no cluster has room for a tenant of isolation {0}; register one with `sindico cluster add`{hint}", hint = dedicated_hint(*.0))]
    NoRoom(Isolation),
    /// A change of the same tenant or app is under way, in this process or another.
    #[error("another change of this {0} is under way; try again when it has finished")]
    Busy(&'static str),
    /// The master key or a sealed value is not usable.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A value in the control database that this version cannot read.
    #[error("control database holds a {what} that this version of síndico cannot read: {value:?}")]
    Unreadable {
        /// Which column.
        what: &'static str,
        /// What it holds.
        value: String,
    },
    /// The control database does not answer as it should.
    #[error("control database: {0}")]
    Database(#[from] sqlx::Error),
    /// Its schema could not be brought up to date.
    #[error("control database could not be migrated: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

use crate::SealError;

fn dedicated_hint(isolation: Isolation) -> &'static str {
    match isolation {
        Isolation::Cluster => " --dedicated",
        Isolation::Shared | Isolation::Schema | Isolation::Database => "",
    }
}

/// Reads a validated word back from the control database.
pub(crate) fn read<T: std::str::FromStr>(what: &'static str, value: &str) -> Result<T, CatalogError> {
    value.parse().map_err(|_| CatalogError::Unreadable { what, value: value.to_owned() })
}
