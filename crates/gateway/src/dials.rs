//! What operators may change while clients are served.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::plaintext::Plaintext;
use crate::relay::SessionLimits;

/// Settings that change nobody's session in the middle of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialSettings {
    /// How long sessions may take over what they are at; for what they begin from then on.
    pub session_limits: SessionLimits,
    /// Which statements are logged.
    pub slow_queries: SlowQueries,
    /// Who may do without TLS, of those who come.
    pub plaintext: Plaintext,
    /// Failed logins for one tenant from one address that have no consequences; 0 for any number.
    pub failed_logins: u32,
    /// How long a transaction waits whose tenant an operator has paused.
    pub pause_patience: Duration,
}

/// Which statements are slow, and what is said of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowQueries {
    /// Those whose answers take longer; `None` for no statement.
    pub over: Option<Duration>,
    /// Their texts are logged, too.
    pub text: bool,
}

impl Default for DialSettings {
    fn default() -> Self {
        Self {
            session_limits: SessionLimits::default(),
            slow_queries: SlowQueries { over: None, text: true },
            plaintext: Plaintext::Loopback,
            failed_logins: 10,
            pause_patience: Duration::from_mins(1),
        }
    }
}

/// Where they are set and read. Cheap to clone; all clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Dials(Arc<ArcSwap<DialSettings>>);

impl Dials {
    /// Set so.
    #[must_use]
    pub fn new(settings: DialSettings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// As they are set at the moment.
    #[must_use]
    pub fn read(&self) -> DialSettings {
        **self.0.load()
    }

    /// Sets them anew.
    pub fn set(&self, settings: DialSettings) {
        self.0.store(Arc::new(settings));
    }
}
