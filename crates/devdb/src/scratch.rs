//! Temporary clusters for tests.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use tempfile::TempDir;

use crate::{
    cluster::{Cluster, ClusterConfig},
    error::ClusterError,
    init::end_makers,
    layout::Layout,
    lock::{DirLock, was_ever_held},
    process::{Process, Whereabouts},
    programs::{Programs, ProgramsError},
    record::Record,
    user::ServerUser,
};

/// What the directories of scratch clusters are called, in the system's temporary directory.
const PREFIX: &str = "sindico-test-";

/// Lets tests share a cluster, and gives up every durability, which nothing here needs.
const SETTINGS: [(&str, &str); 4] =
    [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off"), ("max_connections", "400")];

/// A directory that was just made has no holder yet for a moment; after so long nobody will come.
const UNCLAIMED: Duration = Duration::from_mins(1);
const KILLED: Duration = Duration::from_secs(5);

/// A cluster of its own in the system's temporary directory. Dropping it stops the server and removes the directory.
#[derive(Debug)]
pub struct Scratch {
    // In this order: the server ends before its files go.
    cluster: Cluster,
    dir: TempDir,
}

/// Why a scratch cluster could not be had or removed.
#[derive(Debug, thiserror::Error)]
pub enum ScratchError {
    /// PostgreSQL is not installed.
    #[error(transparent)]
    Programs(#[from] ProgramsError),
    /// The cluster did not start or stop.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The directory could not be made or removed.
    #[error("cannot {doing} {}: {source}; set TMPDIR to a directory that can be written", path.display())]
    Dir {
        /// What was to be done, as a verb.
        doing: &'static str,
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Scratch {
    /// Finds PostgreSQL, removes what killed tests left behind, and starts a cluster with settings that trade
    /// durability for speed.
    pub async fn start() -> Result<Self, ScratchError> {
        Self::sweep()?;
        Self::start_with(&Programs::find()?, &[]).await
    }

    /// Starts a cluster with these programs and with `settings` besides the fast ones, over which they prevail.
    pub async fn start_with(programs: &Programs, settings: &[(&str, &str)]) -> Result<Self, ScratchError> {
        let dir = make_dir()?;
        let mut config = ClusterConfig::new(dir.path());
        // The server takes the last of several values for a setting.
        config.settings =
            SETTINGS.iter().chain(settings).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let cluster = Cluster::start(programs, config).await?;
        Ok(Self { cluster, dir })
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// How to connect to `database` as the superuser.
    #[must_use]
    pub fn dsn(&self, database: &str) -> String {
        self.cluster.dsn(database)
    }

    /// Stops the server and removes the directory, and unlike dropping says when that fails.
    pub async fn stop(self) -> Result<(), ScratchError> {
        self.cluster.stop().await?;
        remove(self.dir)
    }

    /// Removes the scratch clusters of this user whose process died, servers that still run included, and says how many
    /// there were. Blocks until that is done.
    pub fn sweep() -> Result<usize, ScratchError> {
        sweep_in(&std::env::temp_dir())
    }
}

fn make_dir() -> Result<TempDir, ScratchError> {
    let failed = |source| ScratchError::Dir { doing: "make a directory in", path: std::env::temp_dir(), source };
    let dir = tempfile::Builder::new().prefix(PREFIX).tempdir().map_err(failed)?;
    let mode = ServerUser::detect().map_err(ClusterError::from)?.passage_mode();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).map_err(failed)?;
    Ok(dir)
}

/// Removes the directory, unless the sweep of another process was faster: nobody holds it once the server has ended.
fn remove(dir: TempDir) -> Result<(), ScratchError> {
    let path = dir.path().to_owned();
    match dir.close() {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(ScratchError::Dir { doing: "remove", path, source })
        }
        _ => Ok(()),
    }
}

fn sweep_in(place: &Path) -> Result<usize, ScratchError> {
    let unreadable = |source| ScratchError::Dir { doing: "read", path: place.to_owned(), source };
    let mut swept = 0;
    for entry in fs::read_dir(place).map_err(unreadable)? {
        let dir = entry.map_err(unreadable)?.path();
        let is_scratch = dir.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
        if !is_scratch || !is_abandoned(&dir) {
            continue;
        }
        // Held: its process lives after all, or another sweep was faster.
        let Ok(_lock) = DirLock::take(&dir) else { continue };
        end_servers(&dir).map_err(|source| ScratchError::Dir {
            doing: "end the server in",
            path: dir.clone(),
            source,
        })?;
        match fs::remove_dir_all(&dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(ScratchError::Dir { doing: "remove", path: dir, source });
            }
            _ => swept += 1,
        }
    }
    Ok(swept)
}

/// Whether this is a directory of ours that has had a holder, or should have had one for long. A directory that
/// vanishes meanwhile is somebody else's work.
fn is_abandoned(dir: &Path) -> bool {
    let Ok(metadata) = fs::symlink_metadata(dir) else { return false };
    let age = metadata.modified().ok().and_then(|made| SystemTime::now().duration_since(made).ok());
    metadata.is_dir()
        && metadata.uid() == nix::unistd::geteuid().as_raw()
        && (was_ever_held(dir) || age.is_some_and(|age| age > UNCLAIMED))
}

/// Kills the server on these files, which nobody needs any more, and everything that belongs to it. After `Ok` nothing
/// of it is left.
fn end_servers(dir: &Path) -> io::Result<()> {
    // Programs are given the full path.
    let layout = Layout::new(dir.canonicalize()?);
    let record = Record::read(&layout)?;
    end_makers(&layout.init())?;
    let is_server = |process: &Process| {
        process.is_postgres()
            && (record.as_ref().is_some_and(|record| record.is_about(*process))
                || process.works_in(&layout.data()) == Whereabouts::There)
    };
    let until = Instant::now() + KILLED;
    loop {
        // Looked at again after each round: what was killed may have forked after the list was made.
        let servers: Vec<Process> = Process::all()?.into_iter().filter(is_server).collect();
        if servers.is_empty() {
            return Ok(());
        }
        for server in servers {
            server.kill_blocking(until.saturating_duration_since(Instant::now()))?;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{PREFIX, remove, sweep_in};
    use crate::lock::{DirLock, LOCK_FILE};

    #[test]
    fn a_directory_that_another_sweep_removed_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        fs::remove_dir(dir.path()).unwrap();
        remove(dir).unwrap();
    }

    #[test]
    fn only_what_had_a_holder_and_has_none_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let dir = |name: &str| place.path().join(format!("{PREFIX}{name}"));
        for name in ["abandoned", "just-made", "held"] {
            fs::create_dir(dir(name)).unwrap();
        }
        fs::create_dir_all(dir("abandoned").join("data/base")).unwrap();
        fs::write(dir("abandoned").join(LOCK_FILE), "2000000000\n").unwrap();
        let _held = DirLock::take(&dir("held")).unwrap();
        let other = place.path().join("something-else");
        fs::create_dir(&other).unwrap();
        fs::write(other.join(LOCK_FILE), "2000000000\n").unwrap();

        assert_eq!(sweep_in(place.path()).unwrap(), 1);
        assert!(!dir("abandoned").exists());
        assert!(dir("just-made").exists() && dir("held").exists() && other.exists());
    }
}
