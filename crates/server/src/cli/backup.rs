//! The words of `sindico backup …`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use domain::{AppName, ClusterName, DisplayName, Isolation, Slug};

/// `sindico backup …`
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Back up a tenant, or every tenant of an app.
    Create {
        /// Id or slug.
        #[arg(required_unless_present = "app", conflicts_with = "app")]
        tenant: Option<String>,
        /// Every tenant of this app that is active or suspended.
        #[arg(long, value_name = "APP")]
        app: Option<AppName>,
        /// Do not wait for the end.
        #[arg(long)]
        no_wait: bool,
    },
    /// List backups, newest first.
    List {
        /// Only those of this tenant: its slug, or its id if it is gone.
        #[arg(long)]
        tenant: Option<String>,
        /// Only those of this app's tenants.
        #[arg(long)]
        app: Option<AppName>,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show a backup and its tables.
    Show {
        /// Its id.
        backup: String,
    },
    /// Show how old tenants' newest backups are; fails if one is older than the objective.
    Status {
        /// The app; needed only when several are registered.
        app: Option<AppName>,
        /// List all tenants.
        #[arg(long)]
        all: bool,
    },
    /// Restore a backup where nobody is, and compare every row; fails if it is not good.
    Verify {
        /// Its id.
        backup: String,
        /// Do not wait for the end.
        #[arg(long)]
        no_wait: bool,
    },
    /// Make a new tenant from a backup, or take a tenant back to it.
    Restore(RestoreArgs),
    /// Write a backup's tables, and the SQL that made them, into a folder, in formats that everything reads.
    Export(ExportArgs),
    /// Remove a backup, for good.
    Delete {
        /// Its id.
        backup: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// `sindico backup restore`
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup's id.
    pub(crate) backup: String,
    /// The new tenant's slug.
    #[arg(long = "as", value_name = "SLUG", required_unless_present = "in_place", conflicts_with = "in_place")]
    pub(crate) slug: Option<Slug>,
    /// Replace all rows of the tenant that was backed up. It is closed meanwhile.
    #[arg(long)]
    pub(crate) in_place: bool,
    /// What people call the new tenant; as in the backup if not given.
    #[arg(long, conflicts_with = "in_place")]
    pub(crate) name: Option<DisplayName>,
    /// How the new tenant is kept apart; as in the backup if not given.
    #[arg(long, conflicts_with = "in_place")]
    pub(crate) isolation: Option<Isolation>,
    /// A particular cluster; whichever has room if not given.
    #[arg(long, conflicts_with = "in_place")]
    pub(crate) cluster: Option<ClusterName>,
    /// Do not ask.
    #[arg(long, requires = "in_place")]
    pub(crate) yes: bool,
    /// Do not wait for the end.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// `sindico backup export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The backup's id.
    pub(crate) backup: String,
    /// A folder that is not there yet, or empty.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,
    /// In which format.
    #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
    pub(crate) format: ExportFormat,
}

/// Formats of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// RFC 4180, with a line of names.
    Csv,
    /// An object a line.
    Ndjson,
    /// As PostgreSQL's COPY reads it.
    Copy,
}

impl ExportFormat {
    /// As the API calls it, and what files of it end with.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
            Self::Copy => "copy",
        }
    }
}
