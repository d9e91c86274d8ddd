//! What can go wrong with an audit, as opposed to what it finds.

use catalog::{CatalogError, SealError};
use lifecycle::LifecycleError;

use crate::script::ScriptError;

/// Why an audit, or a part of it, could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Another one is at work, in this process or in another of the installation's.
    #[error("an audit is under way; wait until it has finished")]
    Busy,
    /// Nobody of this name.
    #[error("tenant \"{0}\" not found")]
    UnknownTenant(String),
    /// Control data refused.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The canaries could not be made or removed.
    #[error("canary tenants: {0}")]
    Lifecycle(#[from] LifecycleError),
    /// What the catalog has is no DSN.
    #[error("the DSN of the cluster {0}; register the cluster again")]
    Dsn(#[from] tls::DsnError),
    /// A cluster refused, or does not answer.
    #[error("cluster: {0}")]
    Cluster(#[from] tokio_postgres::Error),
    /// A connection of an attacker or a victim failed where nothing was being tried.
    #[error("connection of a canary: {0}")]
    Connection(#[from] std::io::Error),
    /// The app's tables take no canary.
    #[error("the canary cannot be set: {0}")]
    Canary(String),
    /// A name that síndico makes for a canary is not valid.
    #[error("name of a canary: {0}")]
    Name(#[from] domain::Invalid),
    /// A catalog could not be read.
    #[error("{part}: {reason}")]
    Inspection {
        /// Which part of the inspection.
        part: String,
        /// Why not.
        reason: String,
    },
    /// An attack file cannot be read.
    #[error("attack file {0}; this is a bug in síndico, please report it")]
    Script(#[from] ScriptError),
    /// The operating system gave no random bytes.
    #[error("the operating system's random number generator failed")]
    Random,
    /// síndico stops.
    #[error("síndico is stopping; what the audit made is removed by the next")]
    Stopping,
}

impl From<SealError> for AuditError {
    fn from(error: SealError) -> Self {
        Self::Catalog(error.into())
    }
}
