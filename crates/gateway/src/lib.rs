//! The door for PostgreSQL's own protocol: any driver, unchanged.
//!
//! A client's session is one task and reads in the order of the modules: [`opening`] takes its first words,
//! [`parameters`] what it asks for, [`login`] its proof; `tenancy` decides; [`relay`] carries messages until one side
//! leaves, and [`statement`] reads what of it needs reading. [`cancel`] stands beside it, for clients that come in through a second connection to interrupt the first.

mod cancel;
mod certificates;
mod client;
mod console;
mod dials;
mod fault;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod lent;
mod login;
mod opening;
mod parameters;
mod places;
mod plaintext;
mod prepared;
mod relay;
mod serve;
mod session;
mod statement;
mod throttle;
mod traces;
mod zone;

pub use certificates::{Certificates, CertificatesError};
pub use console::{ConfigEntry, Console, Reload, ReloadChange, Settings as ConsoleSettings};
pub use dials::{DialSettings, Dials, SlowQueries};
pub use places::Places;
pub use plaintext::Plaintext;
pub use relay::SessionLimits;
pub use serve::{GatewaySettings, serve};
pub use statement::{Clerk, Clerks, Dialect};
pub use zone::{InvalidZone, Zone};
