//! What changes a tenant: making and removing it, its schema, and the apps and clusters it stands on.
//!
//! A change either happens or leaves nothing. Making and removing a tenant are operations (`jobs`): a journal says how far one has
//! come, and whoever finds it without anybody at it goes on. Names in PostgreSQL follow from the tenant's id, so whatever a crash leaves
//! can be found, and removal is idempotent.

mod add_app;
mod add_cluster;
mod archive;
mod backup;
mod desk;
mod drop_database;
mod edit_tenant;
mod erase;
mod error;
mod kept;
mod letters;
mod lock_watch;
mod migrate;
mod operations;
mod prepare;
mod probe;
mod provision;
mod recover;
mod removal;
mod retention;
mod roles;
mod schedules;
mod schema;
mod seed;
mod server;
mod shape;
mod site;
mod stamp;
mod storage;
mod subject;
mod sweep;
mod turn;
mod usage;
mod verify;
mod views;
mod warm_pool;

pub use add_app::AddApp;
pub use add_cluster::{AddCluster, AddedCluster};
pub use archive::archived_columns;
pub use backup::{
    BackupCoverage, BackupSettings, ColumnEntry, Manifest, RowFormat, RowReader, SequenceEntry, TableEntry,
};
pub use catalog::WarmPool;
pub use desk::Lifecycle;
pub use edit_tenant::EditTenant;
pub use error::LifecycleError;
pub use jobs::{JobsError, Operation, OperationFilter, Schedule, ScheduleRef, State, StepRecord};
pub use letters::{Confirmed, Language, LetterSettings};
pub use migrate::{
    MigrateOptions, Overview, PlannedMigration, PlannedPart, PlannedStatement, TenantVersion, UpgradePlan,
};
pub use operations::OPERATION_KINDS;
pub use probe::Probe;
pub use provision::{Created, NewTenant};
pub use retention::Retained;
pub use schedules::{AddSchedule, EditSchedule, ScheduleKind, upcoming};
pub use sweep::{Orphan, OrphanKind, Orphans, Unseen};
pub use usage::{TableUsage, Usage};
pub use views::TenantViews;
