//! Why a cluster did not start or stop.

use std::{fmt, io, path::PathBuf, time::Duration};

use crate::{lock::LockError, reachable::Unreachable, user::UserError};

/// Why a cluster did not start or stop.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// PostgreSQL cannot get to the directory, or to its own programs.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// There is nobody to run PostgreSQL as.
    #[error(transparent)]
    User(#[from] UserError),
    /// Another process has the directory, or it cannot be written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A server that is not ours uses the data.
    #[error(
        "a PostgreSQL server (pid {pid}) that síndico did not start uses {}; stop it with `pg_ctl stop -D {}`, or give \
         another --dir",
        data.display(), data.display()
    )]
    Foreign {
        /// The server's process.
        pid: u32,
        /// The data directory.
        data: PathBuf,
    },
    /// A `postmaster.pid` looks stale, but a process whose data cannot be seen may belong to the server that wrote it.
    #[error(
        "it cannot be seen whether PostgreSQL process {pid} uses {}; stop it if it does, and otherwise remove {}",
        data.display(), data.join("postmaster.pid").display()
    )]
    Unseen {
        /// The process.
        pid: u32,
        /// The data directory.
        data: PathBuf,
    },
    /// The wanted port cannot be listened on.
    #[error("cannot listen on port {port} of 127.0.0.1: {source}; free it, or choose another port")]
    PortTaken {
        /// The wanted port.
        port: u16,
        /// Why.
        source: io::Error,
    },
    /// Every port tried was taken by somebody else before the server listened.
    #[error("no free port on 127.0.0.1 after {attempts} attempts; choose one yourself")]
    NoFreePort {
        /// How many ports were tried.
        attempts: u32,
    },
    /// A setting that síndico decides itself.
    #[error("the setting `{name}` of the server is decided by síndico; leave it out")]
    ReservedSetting {
        /// Its name.
        name: String,
    },
    /// The data was made by another major version.
    #[error(
        "{} holds data of PostgreSQL {made_by}, but {} is version {found}; put PostgreSQL {made_by} first on PATH, \
         convert the data with `pg_upgrade`, or give another --dir",
        data.display(), bin.display()
    )]
    OtherMajor {
        /// The data directory.
        data: PathBuf,
        /// The major version that made it.
        made_by: String,
        /// The programs found.
        bin: PathBuf,
        /// Their version.
        found: String,
    },
    /// The superuser's password is not the one on file.
    #[error(
        "the server refuses the password in {}: {reason}; put the password of role `sindico` there, or give another \
         --dir",
        file.display()
    )]
    PasswordRefused {
        /// Where the password is kept.
        file: PathBuf,
        /// What the server said.
        reason: String,
    },
    /// `initdb` failed.
    #[error("`initdb` could not make a cluster in {} ({status}): {output}", data.display())]
    Init {
        /// The data directory that was to be.
        data: PathBuf,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it wrote.
        output: String,
    },
    /// A program could not be run.
    #[error("cannot run {}: {source}; check that its user may execute it", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The server ended instead of taking connections.
    #[error(transparent)]
    Died(#[from] Death),
    /// The server did not take connections in time.
    #[error(
        "PostgreSQL did not answer within {} s: {last}; its log ends:\n{log}\nmake what it complains of right, or \
         allow more time",
        within.as_secs_f32()
    )]
    NotReady {
        /// How long it was waited for.
        within: Duration,
        /// Why the last attempt failed.
        last: String,
        /// The end of the server's log.
        log: String,
    },
    /// The server survived every signal.
    #[error(
        "PostgreSQL (pid {pid}) does not end, not even by SIGKILL; look for what blocks it (`ps -o stat,wchan {pid}`)"
    )]
    StillRunning {
        /// The server's process.
        pid: u32,
    },
    /// The server could not be told to stop.
    #[error("cannot stop PostgreSQL (pid {pid}): {source}; stop it as the user who started it")]
    Signal {
        /// The server's process.
        pid: u32,
        /// Why.
        source: io::Error,
    },
    /// A file of the cluster's directory could not be used.
    #[error("cannot {doing} {}: {source}; check its owner and the disk, or give another --dir", path.display())]
    File {
        /// What was to be done to it, as a verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl ClusterError {
    /// An adapter for `map_err` around work on one file.
    pub(crate) fn file(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { doing, path, source }
    }
}

/// The end of a server that nobody asked to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    pub(crate) pid: u32,
    pub(crate) how: String,
    pub(crate) log: String,
}

impl Death {
    /// The process that ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The end of the server's log: the last lines, or nothing when it wrote none.
    #[must_use]
    pub fn log(&self) -> &str {
        &self.log
    }
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgreSQL (pid {}) ended unexpectedly ({}); its log ends:\n{}", self.pid, self.how, self.log)
    }
}

impl std::error::Error for Death {}
