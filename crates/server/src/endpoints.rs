//! `endpoints.json`: how client commands find a running `sindico up`.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// Where an instance lives when nobody says otherwise.
pub(crate) const DEFAULT_DIR: &str = ".sindico";

/// The file's name, directly in the instance's folder.
const FILE: &str = "endpoints.json";

/// Where a running síndico answers, and the token that operators need.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) api: String,
    pub(crate) admin_token: String,
    pub(crate) gateway: GatewayEndpoint,
}

/// Where the gateway listens.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GatewayEndpoint {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// The written file; dropping this removes it.
#[derive(Debug)]
pub(crate) struct Published(PathBuf);

impl Endpoints {
    /// Writes the file, readable by its owner only, whole or not at all.
    pub(crate) fn publish(&self, dir: &Path) -> anyhow::Result<Published> {
        let path = dir.join(FILE);
        let next = dir.join(format!("{FILE}.next"));
        let written = (|| {
            remove_if_there(&next)?;
            let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
            file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
            file.write_all(b"\n")?;
            fs::rename(&next, &path)
        })();
        written.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Published(path))
    }

    /// Removes what an instance that was killed left: it leads nowhere, or to somebody else.
    pub(crate) fn retract(dir: &Path) -> anyhow::Result<()> {
        let path = dir.join(FILE);
        remove_if_there(&path).with_context(|| format!("cannot remove {}", path.display()))
    }

    /// Reads the file that a running síndico has written.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => bail!(
                "no síndico runs in {}; start one with `sindico up`, point to another with --dir, or set SINDICO_API and \
                 SINDICO_TOKEN",
                dir.display()
            ),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        serde_json::from_str(&text).with_context(|| format!("{} is damaged; restart síndico", path.display()))
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        // Already gone is as good; anything else only leaves a file that leads nowhere, which clients report.
        let _leads_nowhere = fs::remove_file(&self.0);
    }
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_file_is_private_and_goes_with_its_guard() {
        let dir = tempfile::tempdir().expect("a folder");
        let endpoints = Endpoints {
            api: "http://127.0.0.1:1".to_owned(),
            admin_token: "secret".to_owned(),
            gateway: GatewayEndpoint { host: "127.0.0.1".to_owned(), port: 2 },
        };
        let published = endpoints.publish(dir.path()).expect("written");
        let path = dir.path().join(FILE);
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(Endpoints::read(dir.path()).expect("read").gateway.port, 2);
        let _replaced = endpoints.publish(dir.path()).expect("written again");
        drop(published);
        let error = Endpoints::read(dir.path()).expect_err("removed").to_string();
        assert!(error.contains("sindico up"), "{error}");
    }
}
