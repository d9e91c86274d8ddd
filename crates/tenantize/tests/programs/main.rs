//! Views, functions, triggers, types and the rest: PostgreSQL runs what the plan says, and two tenants meet the same
//! results in every isolation.

#![expect(clippy::expect_used, clippy::panic, reason = "clippy.toml spares test functions, not what they call")]

mod dumps;
mod functions;
mod histories;
mod plpgsql;
mod quoted;
mod rows;
mod tools;
mod triggers;
mod types;
mod views;
mod worlds;
