//! Síndico as its users meet it: real PostgreSQL servers, real sockets, the real binary where a process matters.

mod bad_input;
mod bed;
mod cli;
mod instance;
mod isolation;
mod lifecycle;
mod up;
