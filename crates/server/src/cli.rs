//! The words of the command line.

mod archive;
mod backup;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;

pub(crate) use self::archive::{ArchiveCommand, WhichArchives};
pub(crate) use self::backup::{BackupCommand, ExportArgs, RestoreArgs};
use clap::{Args, Parser, Subcommand};
use domain::{AppName, ClusterName, DisplayName, Email, Isolation, PoolMode, Pooling, ScheduleName, Slug};

/// Runs PostgreSQL for all the tenants of a service.
#[derive(Debug, Parser)]
#[command(name = "sindico", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Print JSON, for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// The folder of the síndico to start or to talk to. Without it, client commands use `SINDICO_API` and `SINDICO_TOKEN`
    /// where they are set, and .sindico otherwise.
    #[arg(long, global = true, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// What `sindico` does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything on this machine: a private PostgreSQL, the pet-shop app, gateway and control API.
    Up(UpArgs),
    /// Start gateway and control API over PostgreSQL servers of your own.
    Serve {
        /// The configuration file; docs/configuration.md describes it.
        #[arg(long, value_name = "FILE", default_value = "sindico.toml")]
        config: PathBuf,
    },
    /// Applications that tenants use.
    #[command(subcommand)]
    App(AppCommand),
    /// PostgreSQL servers that tenants are placed on.
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Customers of an app.
    #[command(subcommand)]
    Tenant(TenantCommand),
    /// Bring an app and all of its tenants to newer migrations.
    #[command(subcommand)]
    Migrate(MigrateCommand),
    /// Copies of tenants, and tenants from copies.
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Rows that retention has taken out of tenants' tables.
    #[command(subcommand)]
    Archive(ArchiveCommand),
    /// Durable work: tenants being made and removed, migrations.
    #[command(subcommand)]
    Operation(OperationCommand),
    /// What begins by itself, and when.
    #[command(subcommand)]
    Schedule(ScheduleCommand),
    /// Remove rows that are older than they are to be kept.
    #[command(subcommand)]
    Retention(RetentionCommand),
    /// Find what síndico has made on clusters and nobody owns, such as what is left of tenants; fails if there is any.
    Sweep(SweepArgs),
    /// Prove on this installation that no known attack leaves a tenant: make tenants that attack each other, inspect the
    /// clusters, and remove the tenants again.
    Audit {
        /// Only the app, the isolation and the cluster of this tenant, which is itself left alone.
        #[arg(long, value_name = "SLUG")]
        tenant: Option<String>,
    },
}

/// `sindico retention …`
#[derive(Debug, Subcommand)]
pub enum RetentionCommand {
    /// Count the rows that would be removed. Changes nothing.
    Plan(RetentionArgs),
    /// Remove them.
    Run {
        /// Whose.
        #[command(flatten)]
        args: RetentionArgs,
        /// Only count them.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show for how long rows are kept, and what has been removed.
    Show {
        /// The app.
        app: Option<AppName>,
        /// What holds for this tenant: id or slug.
        #[arg(long, value_name = "SLUG")]
        tenant: Option<String>,
    },
    /// Give a tenant a time of its own for a table's rows.
    Set {
        /// Id or slug.
        tenant: String,
        /// The table.
        table: String,
        /// Such as "7 days", or default for what the app gives.
        keep: String,
    },
}

/// `sindico retention plan` and `run`
#[derive(Debug, Args)]
pub struct RetentionArgs {
    /// The app.
    pub(crate) app: AppName,
    /// Only rows of this tenant: id or slug; may be given several times.
    #[arg(long = "tenant", value_name = "SLUG")]
    pub(crate) tenants: Vec<String>,
}

/// `sindico sweep`
#[derive(Debug, Args)]
pub struct SweepArgs {
    /// Remove what is found.
    #[arg(long)]
    pub(crate) remove: bool,
    /// Do not ask.
    #[arg(long, requires = "remove")]
    pub(crate) yes: bool,
    /// Leave this out: a name, a database with all that is in it, or a tenant's id; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) exclude: Vec<String>,
}

/// `sindico migrate …`
#[derive(Debug, Subcommand)]
pub enum MigrateCommand {
    /// Show what would run where, and which locks that takes. Changes nothing.
    Plan {
        /// The app's folder.
        folder: PathBuf,
        /// Show the SQL.
        #[arg(long)]
        sql: bool,
    },
    /// Try the migrations in a folder on tables like those that tenants have. Touches no tenant, and `apply` need not do it again.
    Rehearse {
        /// The app's folder.
        folder: PathBuf,
    },
    /// Bring an app and all of its tenants to the migrations in a folder, or go on with that.
    Apply(ApplyArgs),
    /// Show which versions tenants have, and who is behind, has failed or differs.
    Status {
        /// The app; needed only when several are registered.
        app: Option<AppName>,
        /// List all tenants.
        #[arg(long)]
        all: bool,
    },
    /// Compare every tenant's tables with what its version has; fails if any differ.
    Verify {
        /// The app; needed only when several are registered.
        app: Option<AppName>,
    },
}

/// `sindico migrate apply`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The app's folder: the migrations that tenants have, unchanged, and new ones after them.
    pub(crate) folder: PathBuf,
    /// A tenant with tables of its own that goes first; may be given several times.
    #[arg(long = "canary", value_name = "SLUG")]
    pub(crate) canaries: Vec<Slug>,
    /// If none is named, so many of the oldest; 1 if not given.
    #[arg(long, value_name = "N")]
    pub(crate) canary_count: Option<u32>,
    /// Seconds to wait after the canaries and between waves; 0 if not given.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) soak: Option<u32>,
    /// Tenants in a wave; all at once if not given.
    #[arg(long, value_name = "N")]
    pub(crate) wave: Option<u32>,
    /// Tenants at a time on each cluster; 4 if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) parallel: Option<u32>,
    /// Tenants that may fail before no other is begun; 0 if not given.
    #[arg(long, value_name = "N")]
    pub(crate) max_failures: Option<u32>,
    /// Milliseconds that a statement waits for a lock before it is tried again; 2000 if not given.
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) lock_timeout: Option<u32>,
    /// How often it is tried again; 20 if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=1000))]
    pub(crate) lock_retries: Option<u32>,
    /// Milliseconds that a statement may run; as long as it takes if not given.
    #[arg(long, value_name = "MS")]
    pub(crate) statement_timeout: Option<u32>,
    /// Do not wait for the end.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// `sindico operation …`
#[derive(Debug, Subcommand)]
pub enum OperationCommand {
    /// List operations, newest first.
    List {
        /// Only those that are queued, running, undoing, succeeded, failed or cancelled.
        #[arg(long)]
        state: Option<String>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show an operation and its steps.
    Show {
        /// Its id.
        operation: String,
    },
    /// Wait for an operation's end; fails unless it succeeds.
    Watch {
        /// Its id.
        operation: String,
    },
    /// Stop an operation, and undo what it has begun.
    Cancel {
        /// Its id.
        operation: String,
    },
}

/// `sindico schedule …`
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Make a schedule, which waits for its first time from now on.
    Create(CreateScheduleArgs),
    /// List the schedules.
    List,
    /// Show one schedule.
    Show {
        /// Id or name.
        schedule: String,
    },
    /// Have a schedule begin nothing any more.
    Pause {
        /// Id or name.
        schedule: String,
    },
    /// Have it wait for the next time from now on.
    Resume {
        /// Id or name.
        schedule: String,
    },
    /// Delete a schedule; what it has begun goes on.
    Delete {
        /// Id or name.
        schedule: String,
    },
}

/// `sindico schedule create`
#[derive(Debug, Args)]
pub struct CreateScheduleArgs {
    /// What to call it.
    pub(crate) name: ScheduleName,
    /// What it begins: usage (collect what all tenants use) or verify (compare an app's tables with what they should be).
    pub(crate) kind: String,
    /// When: minute, hour, day of the month, month, day of the week, such as "30 3 * * 1-5".
    pub(crate) cron: String,
    /// By the clocks of this time zone, such as Europe/Lisbon; UTC if not given.
    #[arg(long, value_name = "ZONE")]
    pub(crate) time_zone: Option<String>,
    /// The app that it is about, if its kind is about one.
    #[arg(long)]
    pub(crate) app: Option<AppName>,
    /// What else its kind needs to know, as a JSON object.
    #[arg(long, value_name = "JSON")]
    pub(crate) input: Option<String>,
    /// Begin nothing yet.
    #[arg(long)]
    pub(crate) paused: bool,
}

/// `sindico tenant usage`
#[derive(Debug, Args)]
pub struct UsageArgs {
    /// Id or slug.
    pub(crate) tenant: String,
    /// Ask the servers now, instead of showing what was collected last.
    #[arg(long)]
    pub(crate) now: bool,
    /// All samples that are kept, oldest first.
    #[arg(long)]
    pub(crate) history: bool,
    /// Of these, those from a time on (RFC 3339, such as 2026-01-31T00:00:00Z).
    #[arg(long, value_name = "TIME", requires = "history")]
    pub(crate) from: Option<String>,
    /// Of these, those before a time.
    #[arg(long, value_name = "TIME", requires = "history")]
    pub(crate) to: Option<String>,
}

/// How `sindico up` listens.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// The gateway's port; 0 for any. Without it 6432, or the next one that is free.
    #[arg(long, value_name = "PORT")]
    pub gateway_port: Option<u16>,
    /// The control API's port; 0 for any. Without it 6433, or the next one that is free.
    #[arg(long, value_name = "PORT")]
    pub api_port: Option<u16>,
    /// How many tenants of each isolation that is in use are made ahead, so that `tenant create` need not wait; 0 for none.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub warm_pool: u32,
}

/// `sindico app …`
#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// Register the app in a folder with app.toml, migrations/*.sql and seed/*.sql.
    Add {
        /// The app's folder.
        folder: PathBuf,
    },
    /// Show what an app's SQL becomes in each isolation, or what stops it. Needs no running síndico.
    Check(CheckArgs),
    /// List the registered apps.
    List,
}

/// `sindico app check …`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The app's folder.
    pub folder: PathBuf,
    /// Only this isolation; all of them if not given.
    #[arg(long)]
    pub isolation: Option<Isolation>,
    /// Show all the SQL that runs, grants included.
    #[arg(long)]
    pub sql: bool,
}

/// `sindico cluster …`
#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Register a PostgreSQL server, 15 or later, or a registered one's new address.
    Add {
        /// A name for it.
        name: ClusterName,
        /// A superuser's connection string. Give it by environment to keep it out of the process list.
        #[arg(env = "SINDICO_CLUSTER_DSN", hide_env_values = true)]
        dsn: String,
        /// Only for tenants of isolation cluster.
        #[arg(long)]
        dedicated: bool,
        /// The most tenants it takes; without it one if dedicated, else no bound.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..))]
        capacity: Option<i32>,
    },
    /// List the registered clusters.
    List,
}

/// `sindico tenant pool`
#[derive(Debug, Args)]
pub struct PoolArgs {
    /// Id or slug.
    pub(crate) tenant: String,
    /// What clients get that do not say: transaction, session, or default for what the configuration gives.
    #[arg(long)]
    pub(crate) mode: Option<Choice<PoolMode>>,
    /// Server connections of the tenant's own, or dense ones that tenants in `shared` take turns on: own, dense or default.
    #[arg(long)]
    pub(crate) pooling: Option<Choice<Pooling>>,
    /// Server connections that it may have at once: a number or default.
    #[arg(long)]
    pub(crate) max_server_connections: Option<Choice<NonZeroU32>>,
    /// Clients that it may have at once: a number or default.
    #[arg(long)]
    pub(crate) max_clients: Option<Choice<NonZeroU32>>,
}

/// A value of a tenant's own, or `default` for what the configuration gives to all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Choice<T>(pub(crate) Option<T>);

impl<T: FromStr> FromStr for Choice<T> {
    type Err = T::Err;

    fn from_str(word: &str) -> Result<Self, T::Err> {
        if word == "default" { Ok(Self(None)) } else { word.parse().map(|value| Self(Some(value))) }
    }
}

/// `sindico tenant import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The table; its first line names the columns.
    pub(crate) table: PathBuf,
    /// A new file for the tenants' first keys, which are shown only this once.
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    /// So many at a time.
    #[arg(long, value_name = "N", default_value = "8", value_parser = parallel)]
    pub(crate) parallel: usize,
    /// Tenants that are there already are no failure.
    #[arg(long)]
    pub(crate) skip_existing: bool,
}

fn parallel(word: &str) -> Result<usize, String> {
    match word.parse() {
        Ok(number @ 1..=64) => Ok(number),
        _ => Err("give 1 to 64".to_owned()),
    }
}

/// `sindico tenant …`
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Make a tenant and print its first key, which is shown only this once.
    Create {
        /// Its short name: a DNS label.
        slug: Slug,
        /// How it is kept apart: shared, schema, database or cluster.
        #[arg(long, default_value = "shared")]
        isolation: Isolation,
        /// What people call it; the slug if not given.
        #[arg(long)]
        name: Option<DisplayName>,
        /// Its app; needed only when several are registered.
        #[arg(long)]
        app: Option<AppName>,
        /// A particular cluster; whichever has room if not given.
        #[arg(long)]
        cluster: Option<ClusterName>,
        /// E-mail address of whoever looks after it, who gets a letter when it is open.
        #[arg(long, value_name = "EMAIL")]
        admin: Option<Email>,
        /// What people call them; the address if not given.
        #[arg(long, value_name = "NAME", requires = "admin")]
        admin_name: Option<DisplayName>,
        /// Do not wait until it is made.
        #[arg(long)]
        no_wait: bool,
    },
    /// Make many tenants from a table (CSV) with the columns slug, name, isolation, app, cluster, admin and `admin_name`, of which only
    /// slug is needed.
    Import(ImportArgs),
    /// List the tenants.
    List {
        /// Only those of this app.
        #[arg(long)]
        app: Option<AppName>,
        /// Only those kept apart in this way.
        #[arg(long)]
        isolation: Option<Isolation>,
    },
    /// Show one tenant.
    Show {
        /// Id or slug.
        tenant: String,
    },
    /// Show how a tenant's clients share server connections, or change what is given.
    Pool(PoolArgs),
    /// Show what a tenant uses: rows, bytes, connections, requests.
    Usage(UsageArgs),
    /// Close every door to a tenant; its data stays.
    Suspend {
        /// Id or slug.
        tenant: String,
    },
    /// Open the doors again.
    Resume {
        /// Id or slug.
        tenant: String,
    },
    /// Delete a tenant with all its data, for good.
    Delete {
        /// Id or slug.
        tenant: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Do not wait until it is gone.
        #[arg(long)]
        no_wait: bool,
    },
    /// Open psql as a tenant, with a key made for the occasion.
    Psql {
        /// Id or slug.
        tenant: String,
        /// As the role that only reads.
        #[arg(long)]
        read_only: bool,
        /// Words for psql, after --.
        #[arg(last = true)]
        psql: Vec<String>,
    },
    /// A tenant's keys.
    #[command(subcommand)]
    Key(KeyCommand),
    /// People who belong to a tenant.
    #[command(subcommand)]
    Member(MemberCommand),
    /// The schema of a tenant whose isolation is schema.
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Views of one tenant's rows where tables are shared, for tools that cannot log in as the tenant.
    #[command(subcommand)]
    Views(ViewsCommand),
}

/// `sindico tenant key …`
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make one more key and print it, this once.
    Create {
        /// Id or slug.
        tenant: String,
        /// What to call it.
        #[arg(long, default_value = "made by sindico tenant key create")]
        label: String,
        /// It only reads.
        #[arg(long)]
        read_only: bool,
        /// Seconds until it opens no more connections; never if not given.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(1..))]
        expires_in: Option<i64>,
    },
    /// List a tenant's keys, without their secrets.
    List {
        /// Id or slug.
        tenant: String,
    },
    /// Take a key back and close its connections.
    Revoke {
        /// Id or slug.
        tenant: String,
        /// The key's id.
        key: uuid::Uuid,
    },
}

/// `sindico tenant member …`
#[derive(Debug, Subcommand)]
pub enum MemberCommand {
    /// List a tenant's members, and whether they have confirmed their address.
    List {
        /// Id or slug.
        tenant: String,
    },
    /// Send a member another letter that asks whether the address is theirs.
    Ask {
        /// Id or slug.
        tenant: String,
        /// The member's address or id.
        member: String,
    },
}

/// `sindico tenant views …`
#[derive(Debug, Subcommand)]
pub enum ViewsCommand {
    /// Make the views, or make them anew, and say who may read them.
    Create {
        /// Id or slug.
        tenant: String,
    },
    /// Show the views that were made.
    Show {
        /// Id or slug.
        tenant: String,
    },
    /// Remove the views; the rows stay.
    Drop {
        /// Id or slug.
        tenant: String,
    },
}

/// `sindico tenant schema …`
#[derive(Debug, Subcommand)]
pub enum SchemaCommand {
    /// Make the schema anew after it was dropped.
    Create {
        /// Id or slug.
        tenant: String,
    },
    /// Drop the schema with everything in it; the tenant stays.
    Drop {
        /// Id or slug.
        tenant: String,
        /// The tenant's slug once more.
        #[arg(long, value_name = "SLUG")]
        confirm: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn json_and_dir_stand_anywhere() {
        for line in ["sindico --json --dir d tenant list", "sindico tenant list --dir d --json"] {
            let cli = Cli::try_parse_from(line.split(' ')).expect(line);
            assert!(cli.json);
            assert_eq!(cli.dir.as_deref(), Some(std::path::Path::new("d")));
        }
    }

    #[test]
    fn bad_words_are_refused_with_their_reason() {
        let error = Cli::try_parse_from(["sindico", "tenant", "create", "Bad_Slug"]).expect_err("a bad slug");
        assert!(error.to_string().contains("other than a-z, 0-9"), "{error}");
    }
}
