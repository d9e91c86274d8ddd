//! One síndico per directory.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::layout::make_dirs;

/// The file in the directory that carries the lock and, as text, the process that holds it.
pub(crate) const LOCK_FILE: &str = "lock";

/// Holds a directory for this process until dropped. The kernel gives the lock back when the process dies, however it
/// dies, so there is nothing stale to clean up.
#[derive(Debug)]
pub struct DirLock {
    _file: File,
}

/// A directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Somebody else has it.
    #[error("{} is in use by another síndico{}; stop it or give another --dir", dir.display(), named(*.holder))]
    Held {
        /// The directory.
        dir: PathBuf,
        /// The process that has it, unless it was only just starting and has not said so yet.
        holder: Option<u32>,
    },
    /// The path leads to, or through, something that is not a directory.
    #[error("{} is not a directory; give another --dir", .0.display())]
    NotADirectory(PathBuf),
    /// The directory can be neither made nor written.
    #[error("cannot write in {}: {source}; make it writable or give another --dir", dir.display())]
    NotWritable {
        /// The directory.
        dir: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn named(holder: Option<u32>) -> String {
    holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

impl DirLock {
    /// Takes `dir`, making it first when it does not exist: readable only by us, and for root passable (0711), so that
    /// the servers' user gets to what is below.
    pub fn take(dir: &Path) -> Result<Self, LockError> {
        let mode = if nix::unistd::geteuid().is_root() { 0o711 } else { 0o700 };
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => LockError::NotADirectory(dir.to_owned()),
            _ => LockError::NotWritable { dir: dir.to_owned(), source: error },
        };
        make_dirs(dir, mode).map_err(failed)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join(LOCK_FILE))
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::Held { dir: dir.to_owned(), holder: read_holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(failed)?;
        writeln!(file, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn read_holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// Whether a process has ever held `dir`: a directory between its making and its first lock has no holder yet.
pub(crate) fn was_ever_held(dir: &Path) -> bool {
    fs::read_to_string(dir.join(LOCK_FILE)).is_ok_and(|text| text.trim().parse::<u32>().is_ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{DirLock, LOCK_FILE, LockError, was_ever_held};

    #[test]
    fn a_second_taker_learns_who_has_it_and_gets_it_afterwards() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("made/on/the/way");
        let held = DirLock::take(&dir).unwrap();
        assert!(was_ever_held(&dir));
        let error = DirLock::take(&dir).unwrap_err().to_string();
        let expected = format!("{} is in use by another síndico (pid {})", dir.display(), std::process::id());
        assert!(error.starts_with(&expected), "{error}");
        assert!(error.contains("--dir"), "{error}");
        drop(held);
        DirLock::take(&dir).unwrap();
    }

    #[test]
    fn a_longer_pid_of_an_earlier_holder_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(LOCK_FILE), "4194303999\n").unwrap();
        let _held = DirLock::take(dir.path()).unwrap();
        let text = fs::read_to_string(dir.path().join(LOCK_FILE)).unwrap();
        assert_eq!(text, format!("{}\n", std::process::id()));
    }

    #[test]
    fn a_file_in_the_place_of_the_directory_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(matches!(DirLock::take(&file).unwrap_err(), LockError::NotADirectory(at) if at == file));
        assert!(matches!(DirLock::take(&file.join("below")).unwrap_err(), LockError::NotADirectory(_)));
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        // Not even root can make a directory in the kernel's own file system.
        let error = DirLock::take(std::path::Path::new("/proc/sindico")).unwrap_err();
        assert!(matches!(error, LockError::NotWritable { .. }), "{error}");
        assert!(error.to_string().contains("/proc/sindico"), "{error}");
    }
}
