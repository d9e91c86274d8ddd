//! The PostgreSQL door, through drivers, psql and bare sockets.

mod budget;
mod cancel;
mod console;
mod dense;
mod hold;
mod identity;
mod limits;
mod login;
mod lost;
mod overrides;
mod pooling;
mod protocol;
mod session;
mod startup;
mod statements;
mod tls;
mod token;
