//! Making a cluster where there is none.

use std::{
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::Path,
    time::Duration,
};

use crate::{
    error::ClusterError,
    layout::{Layout, replace_file},
    log::last_lines,
    password::Password,
    process::{Process, Whereabouts},
    programs::Programs,
    user::ServerUser,
};

/// The superuser of every cluster that we make.
pub(crate) const SUPERUSER: &str = "sindico";

/// Sorts and compares by code point, knows the classes of all characters, and comes with every recent glibc.
const LOCALE: &str = "C.UTF-8";
/// For systems without it: the same order, and only ASCII has classes.
const FALLBACK_LOCALE: &str = "C";

const KILLED: Duration = Duration::from_secs(5);

/// How a cluster is made.
pub(crate) struct Initialise<'a> {
    pub(crate) programs: &'a Programs,
    pub(crate) user: &'a ServerUser,
    pub(crate) layout: &'a Layout,
    /// Whether the new files are flushed to the disk, which about doubles the time.
    pub(crate) durable: bool,
}

impl Initialise<'_> {
    /// Makes the data directory and the password beside it. Both are made elsewhere and renamed, the data last, so that
    /// after a crash at any moment there is either a whole cluster or none.
    pub(crate) async fn run(&self) -> Result<(), ClusterError> {
        let Self { layout, .. } = self;
        let (init, data) = (layout.init(), layout.data());
        remove_leftovers(&init).map_err(ClusterError::file("remove", &init))?;
        self.prepare(&init).map_err(ClusterError::file("prepare", &init))?;
        let fresh = init.join("data");
        if let Err(error) = self.initdb(&init, &fresh, LOCALE).await {
            if !is_about_the_locale(&error) {
                return Err(error);
            }
            tracing::warn!(
                missing = LOCALE,
                instead = FALLBACK_LOCALE,
                "the system lacks the locale; upper() and lower() of the new cluster only know ASCII"
            );
            self.initdb(&init, &fresh, FALLBACK_LOCALE).await?;
        }
        fs::rename(init.join("password"), layout.password()).map_err(ClusterError::file("make", layout.password()))?;
        fs::rename(&fresh, &data).map_err(ClusterError::file("make", &data))?;
        if self.durable {
            let dir = layout.dir();
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(ClusterError::file("flush", dir))?;
        }
        fs::remove_dir(&init).map_err(ClusterError::file("remove", &init))
    }

    fn prepare(&self, init: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o700).create(init)?;
        let password = init.join("password");
        replace_file(&password, Password::generate()?.reveal())?;
        if self.durable {
            File::open(&password)?.sync_all()?;
        }
        self.user.own(&password)?;
        self.user.own(init)
    }

    async fn initdb(&self, init: &Path, data: &Path, locale: &str) -> Result<(), ClusterError> {
        let program = self.programs.initdb();
        let mut command = self.user.command(&program);
        command.kill_on_drop(true).args(["--username", SUPERUSER, "--auth=scram-sha-256", "--encoding=UTF8"]);
        command.arg("--no-instructions").arg(format!("--locale={locale}"));
        command.arg("--pwfile").arg(init.join("password")).arg("--pgdata").arg(data);
        if !self.durable {
            command.arg("--no-sync");
        }
        let _ended_with_us = Making(init);
        let output = command.output().await.map_err(|source| ClusterError::Spawn { program, source })?;
        if output.status.success() {
            return Ok(());
        }
        let output_end = last_lines(&String::from_utf8_lossy(&output.stderr));
        Err(ClusterError::Init { data: self.layout.data(), status: output.status, output: output_end })
    }
}

fn is_about_the_locale(error: &ClusterError) -> bool {
    matches!(error, ClusterError::Init { output, .. } if output.contains("invalid locale"))
}

/// An initialisation in progress. When it is given up, its programs end before anybody removes their files; `initdb`
/// alone would leave its children behind.
struct Making<'a>(&'a Path);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        if let Err(error) = end_makers(self.0) {
            tracing::warn!(%error, init = %self.0.display(), "what makes a cluster there may still run");
        }
    }
}

/// Kills the programs that make a cluster in `init`. They survive a síndico that was killed and would go on writing.
pub(crate) fn end_makers(init: &Path) -> io::Result<()> {
    // The children of `initdb` learn where to work from their environment, which only their owner may read.
    let data = init.join("data");
    for process in Process::all()? {
        if process.is_maker() && (process.is_given(init) || process.works_in(&data) == Whereabouts::There) {
            process.kill_blocking(KILLED)?;
        }
    }
    Ok(())
}

/// Removes what an interrupted initialisation left.
fn remove_leftovers(init: &Path) -> io::Result<()> {
    if !init.try_exists()? {
        return Ok(());
    }
    end_makers(init)?;
    fs::remove_dir_all(init)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{fs::PermissionsExt, process::ExitStatusExt},
        process::ExitStatus,
    };

    use super::{Initialise, is_about_the_locale, remove_leftovers};
    use crate::{error::ClusterError, layout::Layout, programs::Programs, user::ServerUser};

    #[tokio::test]
    async fn without_the_locale_a_plainer_one_is_taken() {
        let place = tempfile::tempdir().unwrap();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let (bin, dir) = (place.path().join("bin"), place.path().join("cluster"));
        for made in [&bin, &dir] {
            fs::create_dir(made).unwrap();
            fs::set_permissions(made, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let real = Programs::find().unwrap();
        let picky = format!(
            "#!/bin/sh\ncase \"$*\" in *--locale=C.UTF-8*)\n\
             echo 'initdb: error: invalid locale name \"C.UTF-8\"' >&2\nexit 1\nesac\nexec {} \"$@\"\n",
            real.initdb().display()
        );
        fs::write(bin.join("initdb"), picky).unwrap();
        fs::set_permissions(bin.join("initdb"), fs::Permissions::from_mode(0o755)).unwrap();

        let (user, layout) = (ServerUser::detect().unwrap(), Layout::new(dir));
        let programs = Programs::stand_in(&real, bin);
        Initialise { programs: &programs, user: &user, layout: &layout, durable: false }.run().await.unwrap();
        let written = fs::read_to_string(layout.data().join("postgresql.conf")).unwrap();
        // Since PostgreSQL 17 without quotes.
        let plain = |value: &str| value.split_whitespace().next().map(|word| word.trim_matches('\'')) == Some("C");
        assert!(written.lines().any(|line| line.strip_prefix("lc_time = ").is_some_and(plain)), "{written}");
        assert!(!layout.init().exists());
    }

    #[test]
    fn an_unknown_locale_is_told_from_other_failures() {
        let failure = |output: &str| ClusterError::Init {
            data: "/data".into(),
            status: ExitStatus::from_raw(256),
            output: output.to_owned(),
        };
        assert!(is_about_the_locale(&failure("initdb: error: invalid locale name \"C.UTF-8\"")));
        assert!(!is_about_the_locale(&failure("initdb: error: could not create directory: No space left on device")));
    }

    #[test]
    fn leftovers_go_and_their_absence_is_fine() {
        let dir = tempfile::tempdir().unwrap();
        let init = dir.path().join("init");
        remove_leftovers(&init).unwrap();
        fs::create_dir_all(init.join("data/base")).unwrap();
        fs::write(init.join("data/PG_VERSION"), "15\n").unwrap();
        remove_leftovers(&init).unwrap();
        assert!(!init.exists());
    }
}
