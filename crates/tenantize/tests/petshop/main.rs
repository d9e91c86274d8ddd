//! The sample app: what its SQL becomes, and that PostgreSQL runs it.

#![expect(clippy::expect_used, clippy::panic, reason = "clippy.toml spares test functions, not what they call")]

mod alike;
mod app;
mod bench;
mod catalog;
mod plan;
mod run;
mod tables;
