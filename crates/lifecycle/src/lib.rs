//! What changes a tenant: making and removing it, its schema, and the apps and clusters it stands on.
//!
//! A change either happens or leaves nothing. The tenant's record says what is under way, names in PostgreSQL follow from
//! its id, and removal is idempotent; so a change that fails, or whose process dies, is undone by the same
//! [`erase`](crate::Lifecycle::delete_tenant) that deletes tenants.

mod add_app;
mod add_cluster;
mod create_tenant;
mod delete_tenant;
mod desk;
mod drop_database;
mod edit_tenant;
mod erase;
mod error;
mod lock_watch;
mod prepare;
mod probe;
mod recover;
mod roles;
mod schema;
mod seed;
mod server;
mod storage;
mod verify;
mod views;

pub use add_app::AddApp;
pub use add_cluster::{AddCluster, AddedCluster};
pub use create_tenant::{Created, NewTenant};
pub use desk::Lifecycle;
pub use edit_tenant::EditTenant;
pub use error::LifecycleError;
pub use probe::Probe;
pub use views::TenantViews;
