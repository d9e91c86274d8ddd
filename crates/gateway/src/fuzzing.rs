//! Sessions in which a script plays the client and its servers: for `fuzz/`, and for a test that runs as many as fit into a
//! few seconds.
//!
//! A [`Script`] says what is sent, in which portions it arrives and who leaves when. The servers are [`backend`]s, which
//! keep PostgreSQL's rules in miniature and nothing of the gateway's, unless the script has one rave. What
//! has to be true of every session is written down apart from the relay: on the server's side in [`lender`], which looks at
//! each connection that is given back, on the client's in [`verdict`]. Time is tokio's paused clock, so that a session that
//! waits for ever is found at once, and a deadline costs nothing.

mod backend;
mod frames;
mod lender;
mod play;
mod script;
#[cfg(test)]
mod tests;
mod verdict;

use std::io;
use std::sync::Arc;

use domain::Isolation;
use tenancy::ClientRules;
use tenantize::client::Rules;
use tenantize::{Sources, SqlFile};

pub use self::script::{Act, Aside, Ask, Script, Supply};
use crate::statement::{Clerk, Clerks};

/// What came of a script.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was not as it has to be. Empty, or a bug.
    pub broken: Vec<String>,
    /// Server connections that were given back.
    pub released: u32,
    /// The client got, message by message, what a server would have told it without a gateway.
    pub compared: bool,
    /// Messages that the client got.
    pub heard: usize,
}

/// What all scripts share.
#[derive(Debug)]
pub struct Theatre {
    clerk: Arc<Clerk>,
}

const SCHEMA: &str = "CREATE TABLE pets (id int PRIMARY KEY, tag text UNIQUE)";

impl Theatre {
    /// Prepares the rules by which statements are read where a script asks for it.
    pub fn open() -> io::Result<Self> {
        let file = SqlFile { name: "migrations/1.sql".to_owned(), text: SCHEMA.to_owned() };
        let plan = tenantize::plan(&Sources { migrations: vec![file], seed: vec![] })
            .map_err(|error| io::Error::other(format!("{error:?}")))?;
        let rules =
            Rules::new(&plan, Isolation::Shared).ok_or_else(|| io::Error::other("shared tenants have rules"))?;
        let client = ClientRules {
            tenant: "0192f0c1-2345-7abc-8def-0123456789ab".parse().map_err(io::Error::other)?,
            app: "petshop".parse().map_err(io::Error::other)?,
            isolation: Isolation::Shared,
            version: 1,
            rules: Arc::new(rules),
            schema: "public".to_owned(),
            sequences: "s_0192f0c123457abc8def0123456789ab".to_owned(),
            channel_prefix: "n_0123456789abcdef01234_".to_owned(),
        };
        let clerk = Clerks::new(1 << 20, 1 << 20, 1 << 21).serve(client, [("standard_conforming_strings", "on")]);
        Ok(Self { clerk })
    }

    /// Plays a script from the first act to the end of the session. Fails where no sockets are to be had.
    pub fn relay(&self, script: &Script) -> io::Result<Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(play::play(script, script.clerk.then(|| Arc::clone(&self.clerk))))
    }
}
