//! Finding what síndico has made on clusters and nobody owns, and removing it.
//!
//! The catalog is read, then the cluster, then the catalog again, then once more the cluster. What is on the cluster both times and
//! nobody's both times is an orphan: whoever is made in between is in the second reading of the catalog, and whoever is made and removed
//! in between is gone from the cluster before it is gone from the catalog.
//!
//! Names alone do not tell whose something is: servers are shared with other installations, and with strangers. An app's databases bear
//! a mark of the installation that made them ([`Lifecycle::mark`]), which no other installation replaces, so whatever carries the app's
//! name on that server is of the same installation. A tenant's roles carry no app's name: they are told by the app's groups that they are
//! in, or by their password, which follows from the installation's key.
//!
//! [`Lifecycle::mark`]: crate::Lifecycle

mod names;
mod remove;
mod report;
mod steps;
mod survey;
mod thing;

pub use report::{Orphan, Orphans, Unseen};
pub(crate) use steps::{SWEEP, sweeping};
pub use thing::OrphanKind;
