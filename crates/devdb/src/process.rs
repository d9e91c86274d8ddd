//! Processes that need not be our children, told apart from others that got the same number later.
//!
//! Linux only: everything comes from `/proc` (manual page `proc(5)`).

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How often a process is looked at while waiting for its end.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A process: its number, and the moment it started, which a later process with the same number does not share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    /// Clock ticks between the machine's start and the process's.
    started: u64,
}

/// What can be seen of where a process works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    There,
    Elsewhere,
    /// Another user's process, and we lack the right to trace it (as root in most containers).
    Unknown,
}

/// What `/proc/<pid>/stat` says, as far as it matters here.
struct Stat {
    command: String,
    is_zombie: bool,
    parent: u32,
    started: u64,
}

impl Process {
    /// The process that has this number now. One that has ended and only waits to be reaped counts as gone.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        (!stat.is_zombie).then_some(Self { pid, started: stat.started })
    }

    /// The same, counting one that has ended but still has its number because nobody waited for it: a child of ours, or
    /// an orphan in a container whose first process does not reap.
    pub(crate) fn with_number(pid: u32) -> Option<Self> {
        Stat::read(pid).map(|stat| Self { pid, started: stat.started })
    }

    /// Every process that can be seen.
    pub(crate) fn all() -> io::Result<Vec<Self>> {
        let numbers = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        Ok(numbers.filter_map(Self::of).collect())
    }

    pub(crate) fn pid(self) -> u32 {
        self.pid
    }

    pub(crate) fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends a signal; to a process that is gone, nothing.
    pub(crate) fn signal(self, signal: Signal) -> io::Result<()> {
        let Some(pid) = i32::try_from(self.pid).ok().filter(|_| self.is_alive()) else { return Ok(()) };
        match kill(Pid::from_raw(pid), signal) {
            Err(Errno::ESRCH) => Ok(()),
            other => other.map_err(Into::into),
        }
    }

    /// Whether its working directory is `dir`, which a PostgreSQL server makes its data directory.
    pub(crate) fn works_in(self, dir: &Path) -> Whereabouts {
        let Ok(dir) = fs::metadata(dir) else { return Whereabouts::Elsewhere };
        match fs::metadata(format!("/proc/{}/cwd", self.pid)) {
            Ok(cwd) if (cwd.dev(), cwd.ino()) == (dir.dev(), dir.ino()) => Whereabouts::There,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Whereabouts::Unknown,
            _ => Whereabouts::Elsewhere,
        }
    }

    /// Whether it is a PostgreSQL server or a part of one, going by the program's name.
    pub(crate) fn is_postgres(self) -> bool {
        self.is_named(&["postgres", "postmaster"])
    }

    /// Whether it is a part of a PostgreSQL server whose main process is gone. Such a part says in its command line what
    /// it is doing, after `postgres: `; the command line of a main process is the one it was started with.
    pub(crate) fn is_orphan_of_postgres(self) -> bool {
        let is_part =
            || fs::read(format!("/proc/{}/cmdline", self.pid)).is_ok_and(|line| line.starts_with(b"postgres: "));
        let has_main = || {
            let parent = Stat::read(self.pid).and_then(|stat| Self::of(stat.parent));
            parent.is_some_and(Self::is_postgres)
        };
        self.is_postgres() && is_part() && !has_main()
    }

    /// Whether it makes clusters or is a part of what does. Nothing but the exact names counts, since what is taken for
    /// such a program is killed without being asked.
    pub(crate) fn is_maker(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| matches!(stat.command.as_str(), "initdb" | "postgres"))
    }

    /// Packagers wrap programs and keep the name as a part of the new one, so a part is enough.
    fn is_named(self, names: &[&str]) -> bool {
        Stat::read(self.pid).is_some_and(|stat| names.iter().any(|name| stat.command.contains(name)))
    }

    /// Whether `text` is in its command line, which PostgreSQL's children replace with what they are doing.
    pub(crate) fn mentions(self, text: &str) -> bool {
        fs::read(format!("/proc/{}/cmdline", self.pid))
            .is_ok_and(|line| line.windows(text.len().max(1)).any(|part| part == text.as_bytes()))
    }

    /// Whether one of its arguments, or the value of an option, is `path` or lies below it.
    pub(crate) fn is_given(self, path: &Path) -> bool {
        fs::read(format!("/proc/{}/cmdline", self.pid))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|argument| names(argument, path)))
    }

    /// Kills it and waits for its end; one that does not end is an error.
    pub(crate) fn kill_blocking(self, within: Duration) -> io::Result<()> {
        self.signal(Signal::SIGKILL)?;
        if self.ends_within_blocking(within) {
            return Ok(());
        }
        let stuck = format!("process {} does not end, not even by SIGKILL", self.pid);
        Err(io::Error::new(io::ErrorKind::TimedOut, stuck))
    }

    /// Waits for its end; false when it still lives after `within`.
    pub(crate) async fn ends_within(self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while self.is_alive() {
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        true
    }

    /// The same for places that cannot await, such as `Drop`.
    pub(crate) fn ends_within_blocking(self, within: Duration) -> bool {
        let until = Instant::now() + within;
        while self.is_alive() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        true
    }
}

fn names(argument: &[u8], path: &Path) -> bool {
    let value = argument.iter().position(|byte| *byte == b'=').map_or(argument, |at| &argument[at + 1..]);
    // Compared by components: `init-old` is not below `init`.
    [argument, value].into_iter().any(|text| Path::new(OsStr::from_bytes(text)).starts_with(path))
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let bytes = fs::read(format!("/proc/{pid}/stat")).ok()?;
        Self::parse(&String::from_utf8_lossy(&bytes))
    }

    /// The command's name is in parentheses and may itself contain some; the fields after the last one are counted from
    /// the state, which is the third of the line, while the start time is the twenty-second.
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.rsplit_once(')')?;
        let (_, command) = before.split_once('(')?;
        let mut fields = after.split_ascii_whitespace();
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let started = fields.nth(17)?.parse().ok()?;
        Some(Self { command: command.to_owned(), is_zombie: matches!(state, "Z" | "X"), parent, started })
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use nix::sys::signal::Signal;

    use super::{Duration, Path, Process, Stat, Whereabouts, names};

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let line = "42 (a) Z (b) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 777 999 1";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.command.as_str(), stat.is_zombie), ("a) Z (b", false));
        assert_eq!((stat.parent, stat.started), (1, 777));
    }

    #[test]
    fn an_argument_names_a_path_or_what_is_below_it_and_no_neighbour() {
        let init = Path::new("/place/init");
        for argument in ["/place/init", "/place/init/data", "--pgdata=/place/init/data", "data_directory=/place/init/"]
        {
            assert!(names(argument.as_bytes(), init), "{argument}");
        }
        for argument in ["", "/place/init-old", "--pgdata=/place/init-old/data", "/place", "say /place/init", "=init"] {
            assert!(!names(argument.as_bytes(), init), "{argument}");
        }
    }

    /// A child that does not survive its test, whatever happens in between.
    struct Sleeper(Child);

    impl Drop for Sleeper {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn an_ended_child_is_gone_before_it_is_reaped() {
        let dir = tempfile::tempdir().unwrap();
        let child = Command::new("sleep").arg("600").current_dir(dir.path()).stdin(Stdio::null()).spawn().unwrap();
        let child = Sleeper(child);
        let process = Process::of(child.0.id()).unwrap();
        assert!(process.is_alive());
        assert!(!process.is_postgres());
        assert_eq!(process.works_in(dir.path()), Whereabouts::There);
        assert_eq!(process.works_in(std::path::Path::new("/")), Whereabouts::Elsewhere);
        // Also gives the kernel time to show the command line, which comes a moment after the program's start.
        assert!(!process.ends_within_blocking(Duration::from_millis(100)));
        assert!(process.mentions("600"));
        assert!(!process.mentions(""));
        assert!(process.is_given(Path::new("600")));
        assert!(!process.is_given(Path::new("60")));
        process.signal(Signal::SIGKILL).unwrap();
        assert!(process.ends_within_blocking(Duration::from_secs(10)));
        drop(child);
        process.signal(Signal::SIGKILL).unwrap();
    }

    #[test]
    fn a_process_with_the_same_number_is_another() {
        let own = Process::of(std::process::id()).unwrap();
        let earlier = Process { started: own.started - 1, ..own };
        assert!(own.is_alive());
        assert!(!earlier.is_alive());
        earlier.signal(Signal::SIGKILL).unwrap();
    }
}
