//! Whom PostgreSQL runs as. It refuses to run as root, which containers and servers often are.

use std::{
    fs, io,
    os::unix::fs::{self as unix, MetadataExt},
    path::Path,
    process::Stdio,
};

use nix::unistd::{Gid, Uid, User};
use tokio::process::Command;

/// Tried in this order when síndico is root: the first is what every package of PostgreSQL creates, the second exists
/// everywhere.
const CANDIDATES: [&str; 2] = ["postgres", "nobody"];

/// The operating system's user that PostgreSQL's processes run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerUser {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Whether this is another user than síndico's own, so that files must be handed over.
    dropped: bool,
}

/// There is no user to run PostgreSQL as.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// None of the known users exist.
    #[error(
        "PostgreSQL refuses to run as root and there is neither a user `postgres` nor `nobody` to run it as; create \
         one (`useradd --system postgres`) or run síndico as an ordinary user"
    )]
    Missing,
    /// The user database cannot be read.
    #[error("cannot look up the user to run PostgreSQL as: {0}; check the system's user database (`getent passwd`)")]
    Lookup(#[source] io::Error),
}

impl ServerUser {
    /// Ourselves, or when we are root the user to drop to.
    pub(crate) fn detect() -> Result<Self, UserError> {
        let lookup = |error: nix::Error| UserError::Lookup(error.into());
        let own = Uid::effective();
        if !own.is_root() {
            let name = User::from_uid(own).map_err(lookup)?.map_or_else(|| own.to_string(), |user| user.name);
            return Ok(Self { name, uid: own.as_raw(), gid: Gid::effective().as_raw(), dropped: false });
        }
        for name in CANDIDATES {
            if let Some(user) = User::from_name(name).map_err(lookup)? {
                return Ok(Self { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw(), dropped: true });
            }
        }
        Err(UserError::Missing)
    }

    /// A command that runs `program` as this user, in a process group of its own: a terminal's Ctrl-C then reaches only
    /// síndico, which stops its servers in order.
    ///
    /// What the environment says about PostgreSQL or about languages is left out, so that neither a stray `PGDATA` nor
    /// a translated message changes what happens.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.process_group(0).current_dir("/").stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if ["PG", "LC_", "LANG"].iter().any(|prefix| name.as_encoded_bytes().starts_with(prefix.as_bytes())) {
                command.env_remove(name);
            }
        }
        if self.dropped {
            // The standard library also gives up root's supplementary groups when it changes the user.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives `path` to this user.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        if self.dropped { unix::chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// The mode of directories that síndico makes above a server's files: root's must let this user pass, an ordinary
    /// user's are private.
    pub(crate) fn passage_mode(&self) -> u32 {
        if self.dropped { 0o711 } else { 0o700 }
    }

    /// Whether this user may enter the directory, as far as its mode tells.
    pub(crate) fn may_enter(&self, directory: &fs::Metadata) -> bool {
        let bit = if directory.uid() == self.uid {
            0o100
        } else if directory.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        directory.mode() & bit != 0
    }
}
