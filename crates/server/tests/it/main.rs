//! Síndico as its users meet it: real PostgreSQL servers, real sockets, the real binary where a process matters.

mod bed;
mod isolation;
mod lifecycle;
