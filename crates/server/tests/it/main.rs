//! Síndico as its users meet it: real PostgreSQL servers, real sockets, the real binary where a process matters.

#![expect(clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "a test's helpers fail and tell the test")]

mod api;
mod apps;
mod attack;
mod audit;
mod backup;
mod bad_input;
mod bed;
mod cli;
mod control;
mod dense;
mod drivers;
mod gateway;
mod halt;
mod instance;
mod isolation;
mod lifecycle;
mod members;
mod migrate;
mod retention;
mod schedules;

mod socket;
mod sweep;
mod up;
mod usage;
mod warm_pool;
