//! Connections to PostgreSQL, and who may use which.
//!
//! A connection belongs to one login role for life, and a role to one tenant: what a tenant's SQL leaves behind on a
//! connection can only ever meet the same tenant again, and is discarded even then. A role that serves many
//! ([`Serves::Many`]) is the exception: there the connection is brought back to what it was after login, and that is
//! made sure of, before it carries another tenant. The pool keeps the number of connections to each cluster within a
//! budget, closes those of tenants that have gone quiet in favour of those that ask, and divides the rest fairly between
//! the tenants that wait. While a server takes no connections, whoever wants one waits as well.
//!
//! [`Pool::checkout`] lends a [`Lease`]; [`Lease::give_back`] returns a connection that is known to be clean, and
//! dropping a lease closes it, which is the right end for every connection that anything can be said against.

mod ask;
mod cancel;
mod cluster;
mod concurrency;
mod connect;
mod connection;
mod dialogue;
mod error;
mod fair;
mod health;
mod heat;
mod inspect;
mod lane;
mod lease;
mod line;
mod pace;
mod permit;
mod processors;
mod reach;
mod registry;
mod reset;
mod residue;
mod rest;
mod route;
mod share;
#[cfg(test)]
mod tests;

pub use ask::Kept;
pub use cancel::CancelTarget;
pub use cluster::{ClusterStats, ServerReport};
pub use dialogue::Dialogue;
pub use error::PoolError;
pub use lease::Lease;
pub use line::Line;
pub use registry::{Pool, PoolSettings};
pub use residue::{Prepared, Residue, Settings};
pub use route::{Route, Secret, Serves, SessionParams};
pub use share::Share;
