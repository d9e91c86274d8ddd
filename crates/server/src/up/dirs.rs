//! The folder of an embedded síndico.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::Context;
use aws_lc_rs::digest::{SHA256, digest};
use catalog::MasterKey;
use data_encoding::HEXLOWER;

/// Where clusters go whose folder PostgreSQL's user cannot get to.
const SYSTEM_DIR: &str = "/var/lib/sindico";

/// Everything that an instance keeps.
#[derive(Debug)]
pub(crate) struct Dirs {
    /// The folder itself.
    pub(crate) base: PathBuf,
    /// The clusters' folders.
    pub(crate) clusters: PathBuf,
}

impl Dirs {
    /// Makes what is absent. The folder may be passed but not listed by others: PostgreSQL's user has to get to its
    /// clusters, and everything else in it is private by its own mode.
    pub(crate) fn make(dir: &Path) -> anyhow::Result<Self> {
        let cannot = || format!("{} cannot be used as síndico's folder; give another with --dir", dir.display());
        fs::create_dir_all(dir).with_context(cannot)?;
        let base = dir.canonicalize().with_context(cannot)?;
        if is_ours(&base).with_context(cannot)? {
            fs::set_permissions(&base, Permissions::from_mode(0o711)).with_context(cannot)?;
        }
        let clusters = clusters_of(&base)?;
        Ok(Self { base, clusters })
    }

    /// The log of this instance, continued.
    pub(crate) fn log(&self) -> anyhow::Result<File> {
        let path = self.base.join("sindico.log");
        let opened = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        opened.with_context(|| format!("cannot write {}", path.display()))
    }

    /// The installation's secret, made at the first start.
    pub(crate) fn master_key(&self) -> anyhow::Result<MasterKey> {
        let path = self.base.join("master.key");
        match fs::read_to_string(&path) {
            Ok(text) => return MasterKey::from_hex(&text).with_context(|| format!("{} is damaged", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
        let key = MasterKey::generate()?;
        // Whole or absent: a key cut short by a crash would close everything that it sealed.
        let next = self.base.join("master.key.next");
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
            writeln!(file, "{}", key.to_hex())?;
            file.sync_all()?;
            fs::rename(&next, &path)
        })();
        written.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(key)
    }
}

/// Whether the folder is an instance's, or about to become one: somebody's folder with other things in it keeps its mode.
fn is_ours(base: &Path) -> std::io::Result<bool> {
    let used = base.join("master.key").exists() || base.join("lock").exists();
    Ok(used || fs::read_dir(base)?.next().is_none())
}

/// `clusters` in the folder. As root, PostgreSQL runs as another user; where that user cannot get to the folder, as
/// below /root, the clusters live in a system folder and `clusters` is a link to it.
fn clusters_of(base: &Path) -> anyhow::Result<PathBuf> {
    let clusters = base.join("clusters");
    if clusters.exists() {
        return Ok(clusters.canonicalize()?);
    }
    let Err(unreachable) = devdb::reachable(&clusters.join("main")) else {
        fs::create_dir(&clusters).with_context(|| format!("cannot make {}", clusters.display()))?;
        fs::set_permissions(&clusters, Permissions::from_mode(0o711))?;
        return Ok(clusters);
    };
    let name = HEXLOWER.encode(&digest(&SHA256, base.as_os_str().as_encoded_bytes()).as_ref()[..6]);
    let elsewhere = Path::new(SYSTEM_DIR).join(name);
    let made = fs::create_dir_all(&elsewhere)
        .and_then(|()| fs::set_permissions(SYSTEM_DIR, Permissions::from_mode(0o711)))
        .and_then(|()| fs::set_permissions(&elsewhere, Permissions::from_mode(0o711)));
    if made.is_err() {
        return Err(unreachable.into());
    }
    devdb::reachable(&elsewhere.join("main"))?;
    symlink(&elsewhere, &clusters).with_context(|| format!("cannot make {}", clusters.display()))?;
    Ok(elsewhere)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_can_be_passed_and_the_key_is_private_and_stays() {
        let parent = tempfile::tempdir().expect("a folder");
        fs::set_permissions(parent.path(), Permissions::from_mode(0o755)).expect("opened");
        let dirs = Dirs::make(&parent.path().join("a")).expect("made");
        assert_eq!(fs::metadata(&dirs.base).expect("there").permissions().mode() & 0o777, 0o711);
        assert_eq!(dirs.clusters, dirs.base.join("clusters"));
        let key = dirs.master_key().expect("a key").to_hex();
        assert_eq!(fs::metadata(dirs.base.join("master.key")).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(Dirs::make(&dirs.base).expect("again").master_key().expect("again").to_hex(), key);
    }

    #[test]
    fn a_folder_with_other_things_in_it_keeps_its_mode() {
        let parent = tempfile::tempdir().expect("a folder");
        fs::write(parent.path().join("letter"), "").expect("written");
        fs::set_permissions(parent.path(), Permissions::from_mode(0o1777)).expect("opened");
        Dirs::make(parent.path()).expect("made");
        assert_eq!(fs::metadata(parent.path()).expect("there").permissions().mode() & 0o7777, 0o1777);
    }

    #[test]
    fn a_file_is_no_folder() {
        let parent = tempfile::tempdir().expect("a folder");
        let file = parent.path().join("file");
        fs::write(&file, "").expect("written");
        let error = format!("{:#}", Dirs::make(&file).expect_err("refused"));
        assert!(error.contains("--dir"), "{error}");
    }
}
