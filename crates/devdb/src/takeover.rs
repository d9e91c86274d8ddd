//! What an earlier run left in the directory: a server that still works, one that does not, or its traces.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use crate::{
    cluster::ClusterConfig,
    error::ClusterError,
    layout::{Layout, remove_file_if_present},
    password::Password,
    pidfile::PidFile,
    port::PortChoice,
    process::{Process, Whereabouts},
    programs::Programs,
    record::Record,
    server::Server,
};

/// How long a server that calls itself ready may take to answer before it is replaced.
const ANSWER: Duration = Duration::from_secs(3);
/// How long the children of a server that was killed may take to notice.
const LINGER: Duration = Duration::from_secs(5);

/// Clears the way for a server on this directory, or finds that ours is still there.
pub(crate) struct Takeover<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) config: &'a ClusterConfig,
    pub(crate) layout: &'a Layout,
}

impl Takeover<'_> {
    /// The server of an earlier run and its port, if it can be taken over as it is. After `None` nothing uses the data.
    pub(crate) async fn settle(&self) -> Result<Option<(Server, u16)>, ClusterError> {
        let record = Record::read(self.layout).map_err(ClusterError::file("read", self.layout.running()))?;
        let data = self.layout.data();
        if let Some(process) = holder(&data)? {
            let Some(record) = record.as_ref().filter(|record| record.is_about(process)) else {
                return Err(ClusterError::Foreign { pid: process.pid(), data });
            };
            let server = Server::of_orphan(process, self.layout.clone());
            match self.unfit(record, &server).await {
                None => {
                    tracing::info!(pid = server.pid(), port = record.port, "took over the server of an earlier run");
                    return Ok(Some((server, record.port)));
                }
                Some(reason) => {
                    tracing::warn!(pid = server.pid(), reason, "replacing the server of an earlier run");
                    server.stop(self.config.stop_timeout).await?;
                }
            }
        }
        self.outlive_remains(&data, record.as_ref()).await?;
        drop_misleading_pidfile(&data)?;
        Record::forget(self.layout).map_err(ClusterError::file("remove", self.layout.running()))?;
        Ok(None)
    }

    /// Why a running server of ours cannot be used as it is.
    async fn unfit(&self, record: &Record, server: &Server) -> Option<String> {
        if !record.matches(self.programs, &self.config.settings) {
            return Some("it runs with other settings or another version".to_owned());
        }
        if let PortChoice::Fixed(port) = self.config.port
            && port != record.port
        {
            return Some(format!("it listens on port {} instead of {port}", record.port));
        }
        let password = match Password::read(&self.layout.password()) {
            Ok(password) => password,
            Err(error) => return Some(format!("its password cannot be read: {error}")),
        };
        let is_ready = PidFile::read(&self.layout.data()).is_ok_and(|file| file.is_some_and(|file| file.is_ready));
        let within = if is_ready { ANSWER.min(self.config.start_timeout) } else { self.config.start_timeout };
        server.ready(&password, record.port, within).await.err().map(|error| error.to_string())
    }

    /// Waits until no process of a server whose main process is gone uses the data any more. A new server that shared
    /// the files with them would corrupt them.
    async fn outlive_remains(&self, data: &Path, record: Option<&Record>) -> Result<(), ClusterError> {
        let until = Instant::now() + LINGER;
        let give_up = until + LINGER;
        let is_ours = |process: Process| record.is_some_and(|record| record.is_about(process));
        loop {
            let all = Process::all().map_err(ClusterError::file("read", "/proc"))?;
            let remains = all.into_iter().filter(|process| {
                process.is_postgres() && (is_ours(*process) || process.works_in(data) == Whereabouts::There)
            });
            let remains: Vec<Process> = remains.collect();
            let Some(first) = remains.first() else { return Ok(()) };
            if Instant::now() >= until {
                if !remains.iter().all(|process| is_ours(*process)) {
                    return Err(ClusterError::Foreign { pid: first.pid(), data: data.to_owned() });
                }
                if Instant::now() >= give_up {
                    return Err(ClusterError::StillRunning { pid: first.pid() });
                }
                // Looked at again afterwards: what was killed may have forked after the list was made.
                end_all(&remains, give_up).await?;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

async fn end_all(remains: &[Process], give_up: Instant) -> Result<(), ClusterError> {
    for process in remains {
        let pid = process.pid();
        tracing::warn!(pid, "killing what is left of a server whose main process is gone");
        process.signal(Signal::SIGKILL).map_err(|source| ClusterError::Signal { pid, source })?;
        if !process.ends_within(give_up.saturating_duration_since(Instant::now())).await {
            return Err(ClusterError::StillRunning { pid });
        }
    }
    Ok(())
}

/// The main process of the server on this data, by its own file; `None` when that process is gone or when its number
/// has passed to another program.
pub(crate) fn holder(data: &Path) -> Result<Option<Process>, ClusterError> {
    let file = PidFile::read(data).map_err(ClusterError::file("read", PidFile::path(data)))?;
    let Some(process) = file.and_then(|file| Process::of(file.pid)) else { return Ok(None) };
    // Where we may not look, a program of that name and number is taken for the server: a wrong refusal can be
    // resolved by hand, two servers on the same data cannot.
    let is_there = process.works_in(data) != Whereabouts::Elsewhere;
    Ok((is_there && process.is_postgres()).then_some(process))
}

/// Removes a `postmaster.pid` whose number is in use, if only by a dead process that nobody reaped, although the server
/// is gone: PostgreSQL would refuse to start. One whose number is free stays, PostgreSQL removes it itself, after it has
/// made sure that nobody is attached to the shared memory that the file names.
///
/// Removing the file takes that check away, so it is not done while something is left of a server whose data cannot be
/// seen.
fn drop_misleading_pidfile(data: &Path) -> Result<(), ClusterError> {
    let path = PidFile::path(data);
    let file = PidFile::read(data).map_err(ClusterError::file("read", &path))?;
    let Some(process) = file.and_then(|file| Process::with_number(file.pid)) else { return Ok(()) };
    let all = Process::all().map_err(ClusterError::file("read", "/proc"))?;
    if let Some(unseen) = all.into_iter().find(|process| may_be_a_remnant(*process, data)) {
        return Err(ClusterError::Unseen { pid: unseen.pid(), data: data.to_owned() });
    }
    tracing::info!(pid = process.pid(), "removing a stale postmaster.pid whose process is not a server on this data");
    remove_file_if_present(&path).map_err(ClusterError::file("remove", path))
}

/// Servers whose main process lives are no danger: if one used this data, the file would name it.
fn may_be_a_remnant(process: Process, data: &Path) -> bool {
    process.is_orphan_of_postgres() && process.works_in(data) == Whereabouts::Unknown
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{drop_misleading_pidfile, holder};
    use crate::pidfile::PidFile;

    fn data_with_pid(pid: u32) -> tempfile::TempDir {
        let data = tempfile::tempdir().unwrap();
        fs::write(PidFile::path(data.path()), format!("{pid}\n{}\n", data.path().display())).unwrap();
        data
    }

    #[test]
    fn a_number_that_passed_to_another_program_holds_nothing() {
        let data = data_with_pid(std::process::id());
        assert_eq!(holder(data.path()).unwrap(), None);
        drop_misleading_pidfile(data.path()).unwrap();
        assert!(!PidFile::path(data.path()).exists());
    }

    #[test]
    fn a_dead_process_that_nobody_reaped_holds_nothing() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let data = data_with_pid(child.id());
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while crate::process::Process::of(child.id()).is_some() {
            assert!(std::time::Instant::now() < until, "`true` does not end");
            std::thread::yield_now();
        }
        assert_eq!(holder(data.path()).unwrap(), None);
        drop_misleading_pidfile(data.path()).unwrap();
        assert!(!PidFile::path(data.path()).exists());
        child.wait().unwrap();
    }

    #[test]
    fn a_number_that_is_free_is_left_to_postgresql() {
        // Linux gives out numbers below 2^22 only.
        let data = data_with_pid(2_000_000_000);
        assert_eq!(holder(data.path()).unwrap(), None);
        drop_misleading_pidfile(data.path()).unwrap();
        assert!(PidFile::path(data.path()).exists());
    }
}
