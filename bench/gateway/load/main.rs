//! Load from many tenants through one port: a few workers, each of which draws a tenant, runs one transaction on a free
//! connection of that tenant, and draws again. pgbench has one login for all its connections.
//!
//! Prints one line of JSON with what it saw. Then it keeps its connections until its standard input ends, so that whoever
//! started it can look at what they cost. `bench/gateway/scale`, `tenants` and `idle` run it.

mod arguments;
mod connection;
mod draw;
mod statement;
mod tally;
mod work;

use std::io::{Read as _, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use arguments::Arguments;
use connection::LoadError;

fn main() -> ExitCode {
    match load(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _nobody_reads_it = writeln!(std::io::stderr(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn load(arguments: &Arguments) -> Result<(), LoadError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (seen, connections) = runtime.block_on(work::work(arguments))?;
    let mut out = std::io::stdout();
    writeln!(out, "{seen}")?;
    out.flush()?;
    std::io::stdin().read_to_end(&mut Vec::new())?;
    drop(connections);
    Ok(())
}
