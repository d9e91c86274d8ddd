//! The PostgreSQL door, through drivers, psql and bare sockets.

mod budget;
mod cancel;
mod dense;
mod identity;
mod login;
mod pooling;
mod protocol;
mod session;
mod startup;
mod statements;
mod tls;
