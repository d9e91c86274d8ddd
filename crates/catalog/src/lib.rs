//! The control database: what síndico knows of its apps, clusters and tenants, and the routing snapshot made of it.
//!
//! SQL stands beside its noun: [`Catalog`]'s methods for tenants are in `tenant.rs`, for keys in `key.rs`, and so on.
//! Queries are checked against the schema at compile time (`make prepare` renews the offline data).

mod app;
mod archive;
mod backup;
mod cluster;
mod confirmation;
mod counters;
mod error;
mod key;
mod lock;
mod member;
mod open;
mod ownership;
mod proof;
mod release;
mod reserve;
mod retention;
mod routes;
mod seal;
mod spare;
mod tenant;
mod usage;
mod version;
mod watch;

pub use app::{App, AppFile, NewApp};
pub use archive::{Archive, ArchiveFilter, ArchiveState, Archived, NewArchive, Unsettled};
pub use backup::{Backup, BackupFilter, BackupState, Contents, Coverage};
pub use cluster::{Cluster, NewCluster};
pub use confirmation::{Confirmation, ConfirmationKey, Proof};
pub use counters::{Counter, Traffic};
pub use error::CatalogError;
pub use key::{Key, KeySecret, NewKey};
pub use lock::ChangeLock;
pub use member::{Member, NewMember};
pub use open::{Catalog, ControlTx};
pub use ownership::Ownership;
pub use proof::{ChannelKey, HmacBlocks, TokenKey};
pub use release::{Release, Standing};
pub use reserve::{Reservation, Reserved};
pub use retention::{RetentionLimit, RetentionRule, RetentionRun};
pub use routes::{ClusterRoute, RouteKey, Routes, TenantRoute};
pub use seal::{MasterKey, SealError};
pub use spare::{Spare, WantedSpare, WarmPool};
pub use tenant::{Tenant, TenantFilter, TenantRef};
pub use usage::{Metered, Sample, UsageFilter, UsagePoint};
pub use version::{Entry, Shape, ShapeKind};

/// Iterations of PBKDF2 in verifiers: PostgreSQL's own figure (`scram_iterations`), which every driver accepts.
pub const SCRAM_ITERATIONS: u32 = 4096;
