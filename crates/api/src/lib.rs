//! The control API, `/api/v1`: what operators, the panel and the CLI do to apps, clusters and tenants.
//!
//! [`router`] is the index: each route is one file, registered once for serving and for the OpenAPI description.

mod admin;
mod apps;
mod archives;
mod audits;
mod backups;
mod body;
mod clusters;
mod door;
mod health;
mod keys;
mod members;
mod metrics;
mod migrations;
mod operations;
mod orphans;
mod page;
mod problem;
mod problems;
mod retention;
mod router;
mod schedules;
mod schema;
mod serve;
mod tenant;
mod tenants;
mod usage;
mod views;
mod words;

pub use door::{AdminToken, Door, GatewayAddress};
pub use metrics::Board;
pub use router::{openapi, router};
pub use serve::serve;
