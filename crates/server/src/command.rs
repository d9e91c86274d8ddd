//! The commands. Those that talk to a running síndico use nothing but its control API.

mod app;
mod archive;
mod audit;
mod backup;
mod cluster;
mod export;
mod import;
mod key;
mod member;
mod migrate;
mod operation;
mod psql;
mod retention;
mod schedule;
mod schema;
mod sweep;
mod tenant;
mod usage;
mod views;

use crate::cli::{Cli, Command, TenantCommand};
use crate::client::Client;
use crate::console::Console;
use crate::{serve, up};

/// Does what the command line says.
pub async fn run(cli: Cli, console: &Console) -> anyhow::Result<()> {
    let console = *console;
    let dir = cli.dir.as_deref();
    match cli.command {
        Command::Up(args) => Box::pin(up::up(dir, &args, console)).await,
        Command::Serve { config } => serve::serve(&config).await,
        Command::App(command) => app::run(command, dir, console).await,
        Command::Audit { tenant } => audit::run(tenant, &Client::find(dir)?, console).await,
        Command::Archive(command) => archive::run(command, &Client::find(dir)?, console).await,
        Command::Backup(command) => backup::run(command, &Client::find(dir)?, console).await,
        Command::Cluster(command) => cluster::run(command, &Client::find(dir)?, console).await,
        Command::Migrate(command) => migrate::run(command, &Client::find(dir)?, console).await,
        Command::Operation(command) => operation::run(command, &Client::find(dir)?, console).await,
        Command::Schedule(command) => schedule::run(command, &Client::find(dir)?, console).await,
        Command::Tenant(TenantCommand::Usage(args)) => usage::run(args, &Client::find(dir)?, console).await,
        Command::Retention(command) => retention::run(command, &Client::find(dir)?, console).await,
        Command::Sweep(args) => sweep::run(args, &Client::find(dir)?, console).await,
        Command::Tenant(TenantCommand::Key(command)) => key::run(command, &Client::find(dir)?, console).await,
        Command::Tenant(TenantCommand::Member(command)) => member::run(command, &Client::find(dir)?, console).await,
        Command::Tenant(TenantCommand::Import(args)) => import::run(args, &Client::find(dir)?, console).await,
        Command::Tenant(TenantCommand::Schema(command)) => schema::run(command, &Client::find(dir)?, console).await,
        Command::Tenant(TenantCommand::Views(command)) => views::run(command, &Client::find(dir)?, console).await,
        Command::Tenant(TenantCommand::Psql { tenant, read_only, psql }) => {
            psql::run(&tenant, read_only, &psql, &Client::find(dir)?).await
        }
        Command::Tenant(command) => tenant::run(command, &Client::find(dir)?, console).await,
    }
}
