//! Where PostgreSQL's programs are.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fmt, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::version::{OLDEST_MAJOR, Version};

/// What an installation must hold to count as one. A directory with `psql` alone is a client.
const NEEDED: [&str; 3] = ["initdb", "postgres", "pg_ctl"];

/// Where Debian and its derivatives keep one directory per major version, outside of PATH.
const DEBIAN_ROOT: &str = "/usr/lib/postgresql";

/// An installation of PostgreSQL's server, recent enough to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    bin: PathBuf,
    version: Version,
}

/// Why no installation of PostgreSQL can be used.
#[derive(Debug, thiserror::Error)]
pub enum ProgramsError {
    /// Nothing was found at all.
    #[error(
        "PostgreSQL's server programs (initdb, postgres, pg_ctl) were found neither in a directory on PATH nor under \
         {debian_root}/*/bin; install PostgreSQL {OLDEST_MAJOR} or later (Debian, Ubuntu: `apt-get install \
         postgresql`), or put its bin directory on PATH"
    )]
    NotFound {
        /// The directory whose children were looked at besides PATH.
        debian_root: String,
    },
    /// Something was found, none of it usable.
    #[error(
        "PostgreSQL {OLDEST_MAJOR} or later is needed, but found only {}; install a later one (Debian, Ubuntu: \
         `apt-get install postgresql`), or put its bin directory on PATH",
        .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    )]
    Unusable(Vec<Rejected>),
}

/// An installation that was found and not taken.
#[derive(Debug)]
pub struct Rejected {
    bin: PathBuf,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    TooOld(Version),
    NoAnswer(io::Error),
    NoVersion(String),
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bin = self.bin.display();
        match &self.reason {
            Reason::TooOld(version) => write!(f, "{bin} (version {version})"),
            Reason::NoAnswer(error) => write!(f, "{bin} (`postgres --version` failed: {error})"),
            Reason::NoVersion(answer) => write!(f, "{bin} (`postgres --version` answered {answer:?})"),
        }
    }
}

impl Programs {
    /// Looks in the directories on PATH, in their order, then under `/usr/lib/postgresql`, newest first, and takes the
    /// first installation of a supported version.
    pub fn find() -> Result<Self, ProgramsError> {
        Self::find_in(std::env::var_os("PATH").as_deref().unwrap_or_default(), Path::new(DEBIAN_ROOT))
    }

    /// [`Programs::find`] with its surroundings as parameters.
    fn find_in(path: &OsStr, debian_root: &Path) -> Result<Self, ProgramsError> {
        let mut seen = HashSet::new();
        let mut rejected = Vec::new();
        let on_path = std::env::split_paths(path).flat_map(|dir| installations_behind(&dir));
        for bin in on_path.chain(debian_installations(debian_root)) {
            if !seen.insert(bin.clone()) {
                continue;
            }
            match ask_version(&bin) {
                Ok(version) if version.is_supported() => return Ok(Self { bin, version }),
                Ok(version) => rejected.push(Rejected { bin, reason: Reason::TooOld(version) }),
                Err(reason) => rejected.push(Rejected { bin, reason }),
            }
        }
        if rejected.is_empty() {
            return Err(ProgramsError::NotFound { debian_root: debian_root.display().to_string() });
        }
        Err(ProgramsError::Unusable(rejected))
    }

    /// Programs at `bin` that pass for those of `like`, whose version they have.
    #[cfg(test)]
    pub(crate) fn stand_in(like: &Self, bin: PathBuf) -> Self {
        Self { bin, version: like.version.clone() }
    }

    /// The directory that holds the programs, with every symbolic link resolved.
    #[must_use]
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// What `postgres --version` answered.
    #[must_use]
    pub fn version(&self) -> &Version {
        &self.version
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.bin.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.bin.join("postgres")
    }
}

/// The complete installations a directory on PATH leads to: the real directory of each program in it. A directory such
/// as `/usr/local/bin` may hold a link to just one program, and `initdb` only finds `postgres` beside its real self.
fn installations_behind(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    for program in NEEDED {
        let Ok(real) = fs::canonicalize(dir.join(program)) else { continue };
        let Some(bin) = real.parent() else { continue };
        if is_complete(bin) && !found.iter().any(|known| known == bin) {
            found.push(bin.to_owned());
        }
    }
    // A directory of links, each program in a directory of its own (as some package managers lay out), is complete too.
    if found.is_empty() && is_complete(dir) {
        found.extend(fs::canonicalize(dir).ok());
    }
    found
}

fn is_complete(bin: &Path) -> bool {
    NEEDED.iter().all(|program| bin.join(program).is_file())
}

fn debian_installations(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
    let mut majors: Vec<(u16, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let version = Version::parse(entry.file_name().to_str()?)?;
            Some((version.major(), entry.path().join("bin")))
        })
        .collect();
    majors.sort_by(|a, b| b.cmp(a));
    majors.into_iter().flat_map(|(_, bin)| installations_behind(&bin)).collect()
}

fn ask_version(bin: &Path) -> Result<Version, Reason> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().map_err(Reason::NoAnswer)?;
    let answer = String::from_utf8_lossy(&output.stdout);
    Version::parse(&answer).ok_or_else(|| Reason::NoVersion(answer.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use std::{
        ffi::OsString,
        fs,
        os::unix::fs::{PermissionsExt, symlink},
        path::{Path, PathBuf},
    };

    use tempfile::TempDir;

    use super::{NEEDED, Programs, ProgramsError};

    /// A place with programs that are shell scripts, and nothing of the machine's own installation.
    struct Place(TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn dir(&self, name: &str) -> PathBuf {
            let dir = self.0.path().canonicalize().unwrap().join(name);
            fs::create_dir_all(&dir).unwrap();
            dir
        }

        fn install(&self, name: &str, answer: &str) -> PathBuf {
            let bin = self.dir(name);
            for program in NEEDED {
                script(&bin.join(program), &format!("#!/bin/sh\necho '{answer}'\n"));
            }
            bin
        }

        fn find(&self, path: &[&Path]) -> Result<Programs, ProgramsError> {
            let path: OsString = std::env::join_paths(path).unwrap();
            Programs::find_in(&path, &self.dir("debian"))
        }
    }

    fn script(at: &Path, text: &str) {
        fs::write(at, text).unwrap();
        fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn path_comes_before_debian_and_in_its_order() {
        let place = Place::new();
        place.install("debian/18/bin", "postgres (PostgreSQL) 18.1");
        let first = place.install("first", "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)");
        let second = place.install("second", "postgres (PostgreSQL) 17.2");
        let found = place.find(&[&place.dir("empty"), &first, &second]).unwrap();
        assert_eq!(found.bin(), first);
        assert_eq!(found.version().to_string(), "15.18");
    }

    #[test]
    fn debian_is_searched_newest_first_by_number() {
        let place = Place::new();
        place.install("debian/9.6/bin", "postgres (PostgreSQL) 9.6.24");
        place.install("debian/15/bin", "postgres (PostgreSQL) 15.1");
        let newest = place.install("debian/16/bin", "postgres (PostgreSQL) 16beta1");
        place.dir("debian/17/bin");
        assert_eq!(place.find(&[]).unwrap().bin(), newest);
    }

    #[test]
    fn a_link_on_path_leads_to_the_real_installation() {
        let place = Place::new();
        let real = place.install("opt/postgresql/bin", "postgres (PostgreSQL) 17.0");
        let links = place.dir("links");
        symlink(real.join("pg_ctl"), links.join("pg_ctl")).unwrap();
        assert_eq!(place.find(&[&links]).unwrap().bin(), real);
    }

    #[test]
    fn a_client_only_directory_is_passed_over() {
        let place = Place::new();
        let partial = place.dir("partial");
        script(&partial.join("pg_ctl"), "#!/bin/sh\n");
        let error = place.find(&[&partial]).unwrap_err();
        assert!(matches!(error, ProgramsError::NotFound { .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("apt-get install postgresql") && text.contains("PATH"), "{text}");
    }

    #[test]
    fn too_old_is_named_with_path_and_version() {
        let place = Place::new();
        let old = place.install("old", "postgres (PostgreSQL) 14.9");
        let text = place.find(&[&old]).unwrap_err().to_string();
        assert!(text.contains("15 or later"), "{text}");
        assert!(text.contains(&format!("{} (version 14.9)", old.display())), "{text}");
    }

    #[test]
    fn too_old_or_broken_on_path_does_not_hide_a_newer_one() {
        let place = Place::new();
        let old = place.install("old", "postgres (PostgreSQL) 14.9");
        let broken = place.install("broken", "Segmentation fault");
        let good = place.install("debian/15/bin", "postgres (PostgreSQL) 15.0");
        assert_eq!(place.find(&[&old, &broken]).unwrap().bin(), good);
    }
}
