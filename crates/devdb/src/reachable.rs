//! Whether PostgreSQL, which may run as another user than síndico, can get to a directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::user::{ServerUser, UserError};

/// The server's user cannot get to a directory.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    /// A directory on the way is closed to it.
    #[error(
        "PostgreSQL runs as the user `{user}`, who cannot enter {}, which {} is in; choose a directory elsewhere, or \
         let it pass: `chmod o+x {}`",
        closed.display(), wanted.display(), closed.display()
    )]
    Closed {
        /// The server's user.
        user: String,
        /// The first directory on the way, from the root, that the user cannot enter.
        closed: PathBuf,
        /// What was to be reached.
        wanted: PathBuf,
    },
    /// Something on the way is not a directory.
    #[error("{} cannot be used, {} is not a directory; choose another place", wanted.display(), obstacle.display())]
    NotADirectory {
        /// What is in the way.
        obstacle: PathBuf,
        /// What was to be reached.
        wanted: PathBuf,
    },
    /// The way cannot be examined.
    #[error("cannot examine {}: {source}; choose a directory that can be read", at.display())]
    Examine {
        /// Where it failed.
        at: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Whom the server would run as is not known.
    #[error(transparent)]
    User(#[from] UserError),
}

/// Checks that PostgreSQL's processes could get to `dir`, which need not exist yet, and makes nothing.
///
/// Only the directories above `dir` are looked at; the mode of `dir` itself is for its maker to set (0711 when root).
/// What does not exist yet is not an obstacle. Only the permission bits are read, not access control lists.
pub fn reachable(dir: &Path) -> Result<(), Unreachable> {
    reachable_by(&ServerUser::detect()?, dir)
}

pub(crate) fn reachable_by(user: &ServerUser, dir: &Path) -> Result<(), Unreachable> {
    let wanted = resolved(dir)?;
    let Some(above) = wanted.parent() else { return Ok(()) };
    let mut way: Vec<&Path> = above.ancestors().collect();
    way.reverse();
    for step in way {
        if !enter(user, step, &wanted)? {
            break;
        }
    }
    Ok(())
}

/// The same for `dir` itself, which exists.
pub(crate) fn enterable_by(user: &ServerUser, dir: &Path) -> Result<(), Unreachable> {
    enter(user, dir, dir).map(|_| ())
}

/// Whether there is something at `step` to be entered; an error if there is and `user` cannot.
fn enter(user: &ServerUser, step: &Path, wanted: &Path) -> Result<bool, Unreachable> {
    let metadata = match fs::metadata(step) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(Unreachable::Examine { at: step.to_owned(), source }),
    };
    if !metadata.is_dir() {
        return Err(Unreachable::NotADirectory { obstacle: step.to_owned(), wanted: wanted.to_owned() });
    }
    if !user.may_enter(&metadata) {
        return Err(Unreachable::Closed {
            user: user.name.clone(),
            closed: step.to_owned(),
            wanted: wanted.to_owned(),
        });
    }
    Ok(true)
}

/// `dir` without symbolic links in the part that exists, since it is the real directories that must be entered.
fn resolved(dir: &Path) -> Result<PathBuf, Unreachable> {
    let examine = |source| Unreachable::Examine { at: dir.to_owned(), source };
    let absolute = std::path::absolute(dir).map_err(examine)?;
    for existing in absolute.ancestors() {
        match fs::canonicalize(existing) {
            Ok(real) => {
                let missing = absolute.strip_prefix(existing).unwrap_or(Path::new(""));
                return Ok(if missing.as_os_str().is_empty() { real } else { real.join(missing) });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {}
            Err(source) => return Err(Unreachable::Examine { at: existing.to_owned(), source }),
        }
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt,
        path::{Path, PathBuf},
    };

    use tempfile::TempDir;

    use super::{Unreachable, reachable, reachable_by};
    use crate::user::ServerUser;

    fn open_to_all() -> (TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        mode(dir.path(), 0o755);
        let real = dir.path().canonicalize().unwrap();
        (dir, real)
    }

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn what_does_not_exist_yet_is_reachable() {
        let (_guard, root) = open_to_all();
        reachable(&root.join("not/yet/there")).unwrap();
        assert!(!root.join("not").exists());
    }

    #[test]
    fn the_first_closed_directory_is_named() {
        let (_guard, root) = open_to_all();
        fs::create_dir_all(root.join("closed/inner")).unwrap();
        mode(&root.join("closed/inner"), 0o700);
        mode(&root.join("closed"), 0o700);
        let wanted = root.join("closed/inner/data");
        // Somebody else than the owner of these directories, whoever runs the tests.
        let mut stranger = ServerUser::detect().unwrap();
        stranger.uid = 54_321;
        stranger.gid = 54_321;
        let error = reachable_by(&stranger, &wanted).unwrap_err();
        assert!(matches!(&error, Unreachable::Closed { closed, .. } if *closed == root.join("closed")), "{error}");
        assert!(error.to_string().contains("chmod o+x"), "{error}");

        // Root drops to another user and meets the same wall; an ordinary user owns the directories and passes.
        assert_eq!(reachable(&wanted).is_err(), nix::unistd::geteuid().is_root());
    }

    #[test]
    fn the_directory_itself_is_for_its_maker_to_open() {
        let (_guard, root) = open_to_all();
        fs::create_dir(root.join("mine")).unwrap();
        mode(&root.join("mine"), 0o700);
        reachable(&root.join("mine")).unwrap();
    }

    #[test]
    fn a_file_on_the_way_is_refused() {
        let (_guard, root) = open_to_all();
        fs::write(root.join("file"), "").unwrap();
        let error = reachable(&root.join("file/data")).unwrap_err();
        assert!(matches!(error, Unreachable::NotADirectory { .. }), "{error}");
    }
}
