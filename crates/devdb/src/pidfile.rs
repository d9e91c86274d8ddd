//! `postmaster.pid`, which a server keeps in its data directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// What a server says of itself in `postmaster.pid` (PostgreSQL manual, "Database File Layout"; the order of the lines
/// is that of PostgreSQL's `src/include/utils/pidfile.h`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    /// Written a moment after the number of the process.
    pub(crate) port: Option<u16>,
    /// Whether it takes connections: status `ready`, or `standby` of a replica.
    pub(crate) is_ready: bool,
}

impl PidFile {
    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join("postmaster.pid")
    }

    /// `None` when there is no such file, or nothing in it that names a process.
    pub(crate) fn read(data: &Path) -> io::Result<Option<Self>> {
        match fs::read_to_string(Self::path(data)) {
            Ok(text) => Ok(Self::parse(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines().map(str::trim);
        // A server in single-user mode notes its process as a negative number.
        let pid = lines.next()?.parse::<i32>().ok()?.unsigned_abs();
        let port = lines.nth(2).and_then(|line| line.parse().ok());
        let status = lines.nth(3);
        Some(Self { pid, port, is_ready: matches!(status, Some("ready" | "standby")) })
    }
}

#[cfg(test)]
mod tests {
    use super::PidFile;

    #[test]
    fn reads_each_stage_of_a_start() {
        assert_eq!(PidFile::parse(""), None);
        assert_eq!(PidFile::parse("what?\n"), None);
        let first = PidFile::parse("4711\n/data\n1700000000\n5432\n\n").unwrap();
        assert_eq!(first, PidFile { pid: 4711, port: Some(5432), is_ready: false });
        let full = |status: &str| format!("4711\n/data\n1700000000\n5432\n\n127.0.0.1\n  123 456\n{status}\n");
        assert!(!PidFile::parse(&full("starting")).unwrap().is_ready);
        assert!(!PidFile::parse(&full("stopping")).unwrap().is_ready);
        assert!(PidFile::parse(&full("ready   ")).unwrap().is_ready);
        assert!(PidFile::parse(&full("standby ")).unwrap().is_ready);
    }

    #[test]
    fn single_user_mode_is_a_process_too() {
        assert_eq!(PidFile::parse("-99\n/data\n").map(|file| file.pid), Some(99));
    }
}
