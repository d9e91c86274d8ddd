//! The words of `sindico archive …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use domain::AppName;

use super::backup::ExportFormat;

/// `sindico archive …`
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// List archives, newest first.
    List {
        #[command(flatten)]
        which: WhichArchives,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
    },
    /// Show an archive and the columns of its rows.
    Show {
        /// Its id.
        archive: String,
    },
    /// Write archived rows into a folder, in formats that everything reads.
    Export {
        #[command(flatten)]
        which: WhichArchives,
        /// A folder that is not there yet, or empty.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// In which format.
        #[arg(long, value_enum, default_value_t = ExportFormat::Csv)]
        format: ExportFormat,
    },
    /// Remove an archive, for good: its rows are nowhere else.
    Delete {
        /// Its id.
        archive: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Whose, of which table.
#[derive(Debug, Args)]
pub struct WhichArchives {
    /// Only those of this tenant: its slug, or its id if it is gone.
    #[arg(long)]
    pub(crate) tenant: Option<String>,
    /// Only those of this app's tenants.
    #[arg(long)]
    pub(crate) app: Option<AppName>,
    /// Only those of tables of this name.
    #[arg(long)]
    pub(crate) table: Option<String>,
}
