//! PostgreSQL's protocol 3 (manual, chapter 55): bytes into messages and back.
//!
//! This room does no IO and knows no tenant. Everything it reads comes from somebody who may be hostile, so every length is
//! checked before it is believed, and a byte that makes no sense is an error and never a guess.
//!
//! [`frame`] follows a running stream without copying it. [`startup`] is how a client opens one. [`backend`] and
//! [`frontend`] write the messages that síndico says itself, in the role of a server and of a client; [`report`] is the
//! error that either side of it may carry, [`results`] what answers a statement, and [`scram`] the login.

pub mod backend;
pub mod frame;
pub mod frontend;
pub mod report;
pub mod results;
pub mod scram;
pub mod startup;
mod write;
