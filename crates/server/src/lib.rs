//! The binary `sindico`: its commands, its configuration, and the wiring of the rooms.

mod app_dir;
mod cli;
mod client;
mod command;
mod config;
mod console;
mod endpoints;
mod house;
mod listen;
mod logging;
mod open_files;
mod reload;
mod serve;
mod signal;
mod up;

pub use cli::Cli;
pub use command::run;
pub use console::Console;
pub use house::{House, HouseSettings};
