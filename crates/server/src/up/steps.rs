//! What `sindico up` tells while it starts, and how to go on.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::console::Console;
use crate::endpoints::{DEFAULT_DIR, Endpoints};

/// A step that takes less is not worth a figure.
const WORTH_TELLING: Duration = Duration::from_millis(100);

/// Speaks of the start.
#[derive(Debug)]
pub(crate) struct Steps {
    console: Console,
    started: Instant,
}

impl Steps {
    pub(crate) fn new(console: Console, started: Instant) -> Self {
        Self { console, started }
    }

    /// A step that is done.
    pub(crate) fn done(&self, what: &str) {
        self.say(&format!("  ✓ {what}"));
    }

    /// Runs a step and tells how long it took.
    pub(crate) async fn timed<T, E>(&self, what: &str, step: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let started = Instant::now();
        let value = self.console.wait(what, step).await?;
        let took = started.elapsed();
        if took < WORTH_TELLING {
            self.done(what);
        } else {
            self.done(&format!("{what} ({:.1} s)", took.as_secs_f64()));
        }
        Ok(value)
    }

    /// A line for whoever watches.
    pub(crate) fn say(&self, what: &str) {
        if !self.console.json() {
            self.console.say(what);
        }
    }

    /// Addresses, and the first three things to do.
    pub(crate) fn ready(&self, endpoints: &Endpoints, base: &Path) {
        let Endpoints { api, gateway, .. } = endpoints;
        let took = self.started.elapsed().as_secs_f64();
        let file = base.join("endpoints.json");
        if self.console.json() {
            let ready = json!({"ready_seconds": took, "api": api, "gateway": gateway, "endpoints": file});
            self.console.say(&ready.to_string());
            return;
        }
        let is_default = std::env::current_dir().is_ok_and(|here| here.join(DEFAULT_DIR) == base);
        let dir = if is_default { String::new() } else { format!(" --dir {}", base.display()) };
        self.console.say(&format!(
            "
Ready in {took:.1} s.
  gateway      {host}:{port} (any PostgreSQL client: user = tenant, database = app, password = key)
  control API  {api}/api/v1
  admin token  in {file}

The first three things to do, in another terminal:
  sindico{dir} tenant create happy-paws --isolation schema
  sindico{dir} tenant psql happy-paws
  sindico{dir} tenant list

Ctrl-C stops everything; the data stays.",
            host = gateway.host,
            port = gateway.port,
            file = file.display(),
        ));
    }
}
