//! What lies where in a cluster's directory.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The paths in a cluster's directory.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    dir: PathBuf,
}

impl Layout {
    /// `dir` must be absolute: the server's programs run in another working directory than ours.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// PGDATA. It appears by a rename, so that it is complete when it exists.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Where PGDATA and the password are made before they are renamed into place.
    pub(crate) fn init(&self) -> PathBuf {
        self.dir.join("init")
    }

    /// The superuser's password.
    pub(crate) fn password(&self) -> PathBuf {
        self.dir.join("password")
    }

    /// What the server wrote since it was last started.
    pub(crate) fn log(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// What the run before that wrote.
    pub(crate) fn earlier_log(&self) -> PathBuf {
        self.dir.join("server.log.1")
    }

    /// The server that we started, while it runs.
    pub(crate) fn running(&self) -> PathBuf {
        self.dir.join("running.json")
    }

    /// The port of the last run, kept when the server stops so that addresses survive a restart.
    pub(crate) fn port(&self) -> PathBuf {
        self.dir.join("port")
    }
}

/// Makes `dir` and what is missing above it, with exactly `mode` whatever the umask: a server's user must be able to
/// pass directories that root made.
pub(crate) fn make_dirs(dir: &Path, mode: u32) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(above) = dir.parent()
        && !above.as_os_str().is_empty()
    {
        make_dirs(above, mode)?;
    }
    match DirBuilder::new().mode(mode).create(dir) {
        Ok(()) => fs::set_permissions(dir, fs::Permissions::from_mode(mode)),
        // Somebody else made it at the same moment; the mode is then theirs.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Replaces `path` as a whole, so that a crash leaves either the old text or the new; readable by its owner only.
pub(crate) fn replace_file(path: &Path, text: &str) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};

    let fresh = path.with_extension("new");
    let mut file: File = File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&fresh, path)
}

/// Removes `path` if it is there.
pub(crate) fn remove_file_if_present(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::{make_dirs, replace_file};

    #[test]
    fn every_level_gets_the_mode() {
        let parent = tempfile::tempdir().unwrap();
        make_dirs(&parent.path().join("a/b"), 0o711).unwrap();
        for made in ["a", "a/b"] {
            let mode = fs::metadata(parent.path().join(made)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o711, "{made}");
        }
    }

    #[test]
    fn a_replaced_file_is_private_and_complete() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("running.json");
        replace_file(&path, "a longer text").unwrap();
        replace_file(&path, "short").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "short");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }
}
