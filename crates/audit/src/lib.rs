//! Proof on the live installation that no known attack leaves a tenant.
//!
//! An audit makes two tenants in each isolation, gives one of them something to lose, and lets the other try everything
//! that is written down in `attacks/`: through the gateway, straight to the server as the tenant's own role, and as the
//! login that dense tenants share. It then reads the catalogs of the clusters for privileges and policies that are not as
//! síndico made them ([`inspect`]). Every attack says what must come of it, so that one which fails for a reason of its own,
//! such as a misspelt name, is noticed and not taken for safety.

mod attack;
mod bytes;
mod canary;
mod client;
mod compare;
mod desk;
mod error;
mod family;
mod heard;
pub mod inspect;
mod judge;
mod known;
mod names;
mod operator;
mod place;
mod report;
mod run;
mod scene;
mod script;
mod suite;
mod trial;

pub use attack::{Accept, Attack, Deed, Door, Scope, Step, Verdict};
pub use desk::Standing;
pub use error::AuditError;
pub use family::{FAMILIES, Family};
pub use judge::Weight;
pub use report::{Incident, NotRun, Report, Tally};
pub use run::{Auditor, Progress, Target};
pub use script::ScriptError;
pub use suite::suite;
