//! The one threshold. Every request of a tenant crosses it exactly once, and what it gets is a [`TenantHandle`], the
//! only way to a tenant's data: a door holds no pool, no role and no placement.
//!
//! ```text
//! words of a client ──claim──▶ Claim ──proof of a key──▶ Identity ──admit──▶ TenantHandle ──connect──▶ Lease
//! ```
//!
//! Nothing here queries the control database: tenants come from the routing snapshot in memory.

mod admit;
mod claim;
mod handle;
mod refusal;
mod repair;
mod seats;

pub use admit::Threshold;
pub use claim::{Claim, Identity};
pub use handle::TenantHandle;
pub use refusal::Refusal;
