//! The one threshold. Every request of a tenant crosses it exactly once, and what it gets is a [`TenantHandle`], the
//! only way to a tenant's data: a door holds no pool, no role and no placement.
//!
//! ```text
//! words of a client ──claim──▶ Claim ──key or token──▶ Identity ──admit──▶ TenantHandle ──connect──▶ Lease
//! ```
//!
//! Nobody is let in by a query: tenants come from the routing snapshot in memory. Only the repair of a role that its
//! tenant has spoilt asks the control database, for the cluster's DSN, and the first session of an app for the app's
//! files, which its rules for statements follow from.

mod admit;
mod attendance;
mod claim;
mod counter;
mod gate;
mod handle;
mod hold;
mod login;
mod passage;
mod proof;
mod refusal;
mod repair;
mod rules;
mod scope;
mod seats;
mod tally;
mod token;
mod token_keys;
mod totals;
mod visit;

pub use admit::Threshold;
pub use attendance::{Attendance, ClientCounts, ClusterReport, TenantReport};
pub use claim::{Claim, Identity, Words};
pub use counter::Counter;
pub use handle::TenantHandle;
pub use hold::{Held, HoldError};
pub use passage::Passage;
pub use proof::Lapse;
pub use refusal::Refusal;
pub use repair::RepairError;
pub use rules::ClientRules;
pub use scope::{Parameter, ScopeError, TenantScope, TenantTransaction};
pub use token::{TokenFault, TokenSettings, Tokens};
pub use token_keys::TokenKeysError;
pub use totals::{BUCKETS, DurationCounts, TotalCounts};
pub use visit::{Guest, Stance, Visit, VisitReport, Wanted};
