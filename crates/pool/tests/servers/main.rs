//! The pool while servers go away, come back, and take each other's place.

#![expect(clippy::expect_used, clippy::panic, reason = "a test's helpers fail the test")]

mod failover;
mod local;
mod place;
mod restart;
