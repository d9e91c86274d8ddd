//! The sample app: what its SQL becomes, and that PostgreSQL runs it.

mod app;
mod catalog;
mod plan;
mod run;
