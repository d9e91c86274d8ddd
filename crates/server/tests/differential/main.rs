//! The measure of the isolations: the same client session gives the same results in all four, and in a plain database
//! that has never heard of síndico.
//!
//! Compared are columns with their types, rows, command tags, transaction states, notices and errors with code, message,
//! hint and the names of what they concern. Not compared are positions in a statement and the DETAIL of errors, which
//! show the keys that tenants sharing tables really have; and a column `tenant_id` is taken out of the results where
//! tables are shared, as it comes with `*` there (docs/isolation.md).

#![expect(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "a test's helpers fail and tell the test")]

#[path = "../it/bed.rs"]
#[expect(dead_code, reason = "the same bed serves the other tests, which use all of it")]
mod bed;
mod compare;
mod door;
mod play;
mod property;
mod recorded;
mod reference;
mod session;
#[path = "../it/socket.rs"]
#[expect(dead_code, reason = "the same client serves the other tests, which use all of it")]
mod socket;
mod transcript;
