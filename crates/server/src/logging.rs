//! Where log lines go.

use std::fmt;
use std::fs::File;
use std::sync::{Arc, Mutex};

use tracing_subscriber::EnvFilter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Which log lines there are: can be changed while they are written. `RUST_LOG` prevails over it.
#[derive(Clone)]
pub(crate) struct Filter(Option<Exchange>);

type Exchange = Arc<dyn Fn(EnvFilter) -> Result<(), String> + Send + Sync>;

impl Filter {
    /// Checks a filter and puts it in force, unless `RUST_LOG` is.
    pub(crate) fn set(&self, filter: &str) -> Result<(), String> {
        let filter = parse(filter)?;
        match &self.0 {
            Some(exchange) => exchange(filter),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filter").finish_non_exhaustive()
    }
}

/// Reads a filter, or says what is wrong with it.
pub(crate) fn parse(filter: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(filter).map_err(|error| {
        format!("log.filter: {filter:?} is no filter: {error}; give one such as \"info\" or \"info,gateway=debug\"")
    })
}

/// Log lines of a server on standard error; `RUST_LOG` overrides the filter.
pub(crate) fn to_stderr(format: LogFormat, filter: &str) -> Filter {
    let given = EnvFilter::try_from_default_env().ok();
    let changeable = given.is_none();
    let filter = given.unwrap_or_else(|| EnvFilter::new(filter));
    let exchange: Exchange = match format {
        LogFormat::Text => {
            let lines = tracing_subscriber::fmt().with_writer(std::io::stderr);
            let lines = lines.with_env_filter(filter).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Arc::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
        LogFormat::Json => {
            let lines = tracing_subscriber::fmt().with_writer(std::io::stderr).json();
            let lines = lines.with_env_filter(filter).with_filter_reloading();
            let handle = lines.reload_handle();
            lines.init();
            Arc::new(move |filter| handle.reload(filter).map_err(|error| error.to_string()))
        }
    };
    Filter(changeable.then_some(exchange))
}

/// Log lines in a file, for a terminal that shows steps instead.
pub(crate) fn to_file(file: File, filter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(filter));
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(Mutex::new(file)).init();
}
