//! A running server: its process, watched until it ends.

use std::{
    io,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::{process::Child, sync::watch};
use tokio_postgres::{NoTls, error::SqlState};

use crate::{
    error::{ClusterError, Death},
    init::SUPERUSER,
    layout::Layout,
    log,
    password::Password,
    pidfile::PidFile,
    process::Process,
    record::Record,
};

/// How often a starting server is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How often an adopted server, which the kernel does not report on, is looked at.
const LOOK_FOR_DEATH_EVERY: Duration = Duration::from_millis(100);
/// An answer to a connection that takes longer on the loopback interface is none.
const ATTEMPT: Duration = Duration::from_secs(3);
/// On SIGQUIT a server kills what has not ended after five seconds itself (PostgreSQL manual, "Shutting Down the
/// Server").
const IMMEDIATE: Duration = Duration::from_secs(6);
const KILLED: Duration = Duration::from_secs(5);

/// A server that is ours. Dropped while it runs, it is stopped the hard way, which loses nothing that was committed but
/// costs a recovery at the next start.
#[derive(Debug)]
pub(crate) struct Server {
    process: Process,
    layout: Layout,
    ended: watch::Receiver<Option<Death>>,
}

impl Server {
    /// Takes charge of a server that was just spawned.
    pub(crate) fn of_child(mut child: Child, layout: Layout) -> io::Result<Self> {
        let gone = || io::Error::other("the new process is not to be seen in /proc");
        let process = child.id().and_then(Process::with_number).ok_or_else(gone)?;
        let (tell, ended) = watch::channel(None);
        let log_of = layout.clone();
        tokio::spawn(async move {
            let how = match child.wait().await {
                Ok(status) => status.to_string(),
                Err(error) => format!("its end could not be waited for: {error}"),
            };
            tell.send_replace(Some(Death { pid: process.pid(), how, log: log::tail(&log_of) }));
        });
        Ok(Self { process, layout, ended })
    }

    /// Takes charge of a server whose síndico is gone.
    pub(crate) fn of_orphan(process: Process, layout: Layout) -> Self {
        let (tell, ended) = watch::channel(None);
        let log_of = layout.clone();
        tokio::spawn(async move {
            while process.is_alive() {
                tokio::time::sleep(LOOK_FOR_DEATH_EVERY).await;
            }
            let how = "not a child of this process, so its exit status is unknown".to_owned();
            tell.send_replace(Some(Death { pid: process.pid(), how, log: log::tail(&log_of) }));
        });
        Self { process, layout, ended }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Resolves when the server has ended, for whatever reason.
    pub(crate) fn died(&self) -> impl Future<Output = Death> + Send + use<> {
        let mut ended = self.ended.clone();
        let (pid, layout) = (self.pid(), self.layout.clone());
        async move {
            let seen = ended.wait_for(Option::is_some).await.ok().and_then(|death| death.clone());
            // The watch only goes away unanswered when the runtime, and with it the watching task, is shut down.
            seen.unwrap_or_else(|| Death { pid, how: "no longer watched".to_owned(), log: log::tail(&layout) })
        }
    }

    /// Waits until the server answers a query over the network.
    ///
    /// The server's own word in `postmaster.pid` comes first: from then on the port is its own, and whoever answers
    /// there is no stranger.
    pub(crate) async fn ready(&self, password: &Password, port: u16, within: Duration) -> Result<(), ClusterError> {
        tokio::select! {
            death = self.died() => Err(death.into()),
            answered = self.answer(password, port, within) => answered,
        }
    }

    async fn answer(&self, password: &Password, port: u16, within: Duration) -> Result<(), ClusterError> {
        let until = Instant::now() + within;
        let data = self.layout.data();
        let mut last = "it still starts".to_owned();
        loop {
            let file = PidFile::read(&data).map_err(ClusterError::file("read", PidFile::path(&data)))?;
            if file.is_some_and(|file| file.pid == self.pid() && file.is_ready) {
                let attempt = ATTEMPT.min(until.saturating_duration_since(Instant::now()));
                match tokio::time::timeout(attempt, select_one(password, port)).await {
                    Ok(Ok(())) => return Ok(()),
                    Ok(Err(error)) if is_refusal(&error) => {
                        let file = self.layout.password();
                        return Err(ClusterError::PasswordRefused { file, reason: describe(&error) });
                    }
                    Ok(Err(error)) => last = describe(&error),
                    Err(_) => "it accepts connections but does not answer".clone_into(&mut last),
                }
            }
            if Instant::now() >= until {
                return Err(ClusterError::NotReady { within, last, log: log::tail(&self.layout) });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Stops the server: open sessions are ended and everything is written (SIGINT, "fast shutdown"). One that takes
    /// longer than `patience` is stopped without writing (SIGQUIT), and one that is stuck is killed.
    pub(crate) async fn stop(self, patience: Duration) -> Result<(), ClusterError> {
        let pid = self.pid();
        for (signal, within) in [(Signal::SIGINT, patience), (Signal::SIGQUIT, IMMEDIATE), (Signal::SIGKILL, KILLED)] {
            self.process.signal(signal).map_err(|source| ClusterError::Signal { pid, source })?;
            if self.process.ends_within(within).await {
                return self.forget_if_orderly();
            }
            tracing::warn!(pid, %signal, ?within, "PostgreSQL did not end in time");
        }
        Err(ClusterError::StillRunning { pid })
    }

    /// Drops the record of a server that has ended, provided that it ended by itself: it then waited for its children
    /// and removed its `postmaster.pid` last. One that was killed did neither; its record stays, so that the next start
    /// knows the children that may have survived it for ours.
    fn forget_if_orderly(&self) -> Result<(), ClusterError> {
        let data = self.layout.data();
        let left = PidFile::read(&data).map_err(ClusterError::file("read", PidFile::path(&data)))?;
        if left.is_some_and(|file| file.pid == self.pid()) {
            tracing::warn!(pid = self.pid(), "PostgreSQL was killed; the next start looks for what it left behind");
            return Ok(());
        }
        Record::forget(&self.layout).map_err(ClusterError::file("remove", self.layout.running()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Waiting blocks the thread, for some tens of milliseconds as a rule. The alternative is worse: whoever comes
        // next would find a server that is half gone, or remove its files under it.
        if self.process.is_alive() {
            let stopped = self.process.signal(Signal::SIGQUIT);
            if !self.process.ends_within_blocking(IMMEDIATE) {
                // The record stays, so that the next start knows the server for ours and replaces it.
                tracing::warn!(pid = self.pid(), ?stopped, "PostgreSQL was told to stop at once and did not");
                return;
            }
        }
        if let Err(error) = self.forget_if_orderly() {
            tracing::warn!(%error, "the record of a server that has ended stays behind");
        }
    }
}

async fn select_one(password: &Password, port: u16) -> Result<(), tokio_postgres::Error> {
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).user(SUPERUSER).password(password.reveal()).dbname("postgres");
    let (client, connection) = config.connect(NoTls).await?;
    // Without its client the connection ends by itself, also when this future is dropped halfway.
    tokio::spawn(connection);
    client.simple_query("SELECT 1").await.map(|_| ())
}

/// Whether trying again is of no use: the password or the role is wrong.
fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error
        .code()
        .is_some_and(|code| [SqlState::INVALID_PASSWORD, SqlState::INVALID_AUTHORIZATION_SPECIFICATION].contains(code))
}

/// The server's own words where there are some; the driver's text alone only says that there are.
fn describe(error: &tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |said| said.message().to_owned())
}
