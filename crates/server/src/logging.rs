//! Where log lines go.

use std::fs::File;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Log lines of a server on standard error; `RUST_LOG` overrides the filter.
pub(crate) fn to_stderr(format: LogFormat, filter: &str) {
    let lines = tracing_subscriber::fmt().with_env_filter(filter_or(filter)).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => lines.init(),
        LogFormat::Json => lines.json().init(),
    }
}

/// Log lines in a file, for a terminal that shows steps instead.
pub(crate) fn to_file(file: File, filter: &str) {
    tracing_subscriber::fmt().with_env_filter(filter_or(filter)).with_ansi(false).with_writer(Mutex::new(file)).init();
}

fn filter_or(filter: &str) -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter))
}
