//! One binary, roles as subcommands.

use std::process::ExitCode;

use clap::Parser;
use server::{Cli, Console, run};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let console = Console::new(cli.json);
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return console.failed(&anyhow::Error::new(error).context("the async runtime did not start")),
    };
    match runtime.block_on(run(cli, &console)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => console.failed(&error),
    }
}
