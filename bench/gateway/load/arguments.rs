//! What to do, and for which tenants.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::connection::LoadError;

/// Puts a gateway under the load of many tenants and prints what it saw as one line of JSON.
#[derive(Debug, Parser)]
pub(crate) struct Arguments {
    /// Where the gateway listens on 127.0.0.1.
    #[arg(long)]
    pub(crate) port: u16,
    /// A line `user password database` for each tenant; by Zipf's law the first is the busiest.
    #[arg(long, value_name = "FILE")]
    pub(crate) tenants: PathBuf,
    /// Transactions at a time.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) workers: u32,
    /// How long to measure.
    #[arg(long, default_value_t = 10)]
    pub(crate) seconds: u64,
    /// How long to work before that, in seconds, after one connection of each tenant has been opened.
    #[arg(long, default_value_t = 3)]
    pub(crate) warm_up: u64,
    /// Draw tenants by Zipf's law with this exponent; without it all alike.
    #[arg(long, value_name = "EXPONENT")]
    pub(crate) zipf: Option<f64>,
    /// The transaction, of one statement; `{n}` becomes a random number.
    #[arg(long, default_value = "SELECT abalance FROM pgbench_accounts WHERE aid = {n}")]
    pub(crate) query: String,
    /// The greatest such number; the least is 1.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rows: u32,
    /// Prepare the statement once on each connection, with `{n}` as its parameter.
    #[arg(long)]
    pub(crate) prepared: bool,
    /// Only open so many connections, the tenants in turn, each of which runs the statement once.
    #[arg(long, value_name = "CONNECTIONS")]
    pub(crate) idle: Option<usize>,
}

/// How a tenant logs in.
#[derive(Debug)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
}

impl Credentials {
    /// Reads a file of them; at least one.
    pub(crate) fn read(file: &Path) -> Result<Vec<Self>, LoadError> {
        let bad = |why: String| LoadError::Tenants { file: file.to_owned(), why };
        let text = fs::read_to_string(file).map_err(|error| bad(format!("{error}; name a file that can be read")))?;
        let read = |(number, line): (usize, &str)| match line.split_whitespace().collect::<Vec<_>>()[..] {
            [user, password, database] => {
                Ok(Self { user: user.to_owned(), password: password.to_owned(), database: database.to_owned() })
            }
            _ => Err(bad(format!("line {} is not `user password database`", number + 1))),
        };
        let all = text.lines().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        if all.is_empty() { Err(bad("it is empty; give a line for each tenant".to_owned())) } else { Ok(all) }
    }
}
