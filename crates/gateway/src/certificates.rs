//! The gateway's certificate: two files, read again when they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use arc_swap::ArcSwap;
use tls::{Certificate, CertificateError};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the gateway proves itself with to clients. Cheap to clone; all clones are the same.
#[derive(Debug, Clone)]
pub struct Certificates {
    files: Files,
    /// What the files held when they were last looked at, fit or not.
    seen: Pair,
    current: Arc<ArcSwap<Certificate>>,
}

#[derive(Debug, Clone)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// What the two files hold.
#[derive(Clone, PartialEq, Eq)]
struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Without the key.
impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pair(…)")
    }
}

/// Why the gateway cannot encrypt.
#[derive(Debug, thiserror::Error)]
pub enum CertificatesError {
    /// The certificate's file is not there, or not ours to read.
    #[error("certificate_file: cannot read {path}: {error}; name a PEM file that síndico may read")]
    Certificate {
        /// Which file.
        path: String,
        /// The system's reason.
        error: io::Error,
    },
    /// The key's file is not there, or not ours to read.
    #[error("key_file: cannot read {path}: {error}; name a PEM file that síndico may read")]
    Key {
        /// Which file.
        path: String,
        /// The system's reason.
        error: io::Error,
    },
    /// The files are there and of no use.
    #[error("{key}: {path}: {error}")]
    Unusable {
        /// The setting that names the file.
        key: &'static str,
        /// Which file.
        path: String,
        /// What is wrong with it.
        error: CertificateError,
    },
}

impl Certificates {
    /// Reads the two files: a PEM chain, the server's own certificate first, and its unencrypted PEM key.
    pub fn read(certificate: PathBuf, key: PathBuf) -> Result<Self, CertificatesError> {
        let files = Files { certificate, key };
        let seen = files.read()?;
        let current = files.understand(&seen)?;
        Ok(Self { files, seen, current: Arc::new(ArcSwap::from_pointee(current)) })
    }

    /// What to show the next client.
    pub(crate) fn current(&self) -> Arc<Certificate> {
        self.current.load_full()
    }

    /// Looks at the files until `shutdown`. A pair that cannot be used is reported once, and the last good one stays; whoever
    /// is connected notices nothing either way.
    pub(crate) async fn keep_current(mut self, shutdown: CancellationToken) {
        let mut ticks = interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => {}
            }
            let files = self.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else { return };
            self.look(read);
        }
    }

    fn look(&mut self, read: Result<Pair, CertificatesError>) {
        // Nothing is there while one file takes another's place; what is there afterwards is seen the next time.
        let pair = match read {
            Ok(pair) => pair,
            Err(error) => return tracing::debug!(%error, "the certificate's files cannot be read at the moment"),
        };
        if pair == self.seen {
            return;
        }
        match self.files.understand(&pair) {
            Ok(certificate) => {
                self.current.store(Arc::new(certificate));
                tracing::info!(file = %self.files.certificate.display(), "new certificate for clients");
            }
            Err(error) => {
                tracing::warn!(%error, "a new certificate cannot be used; clients go on being shown the last good one");
            }
        }
        self.seen = pair;
    }
}

impl Files {
    fn read(&self) -> Result<Pair, CertificatesError> {
        let show = |path: &Path| path.display().to_string();
        let certificate = fs::read(&self.certificate)
            .map_err(|error| CertificatesError::Certificate { path: show(&self.certificate), error })?;
        let key = fs::read(&self.key).map_err(|error| CertificatesError::Key { path: show(&self.key), error })?;
        Ok(Pair { certificate, key })
    }

    fn understand(&self, pair: &Pair) -> Result<Certificate, CertificatesError> {
        Certificate::from_pem(&pair.certificate, &pair.key).map_err(|error| {
            let (key, path) = match error {
                CertificateError::NoCertificate | CertificateError::BadPem => ("certificate_file", &self.certificate),
                CertificateError::NoKey | CertificateError::Unusable(_) => ("key_file", &self.key),
            };
            CertificatesError::Unusable { key, path: path.display().to_string(), error }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, names: &[&str]) -> (Vec<u8>, Vec<u8>) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
        let (pem, key) = (made.cert.pem().into_bytes(), made.signing_key.serialize_pem().into_bytes());
        fs::write(dir.join("cert"), &pem).expect("written");
        fs::write(dir.join("key"), &key).expect("written");
        (pem, key)
    }

    #[test]
    fn a_new_pair_is_taken_and_a_bad_one_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let (first, _) = write(dir.path(), &["one.example"]);
        let mut certificates =
            Certificates::read(dir.path().join("cert"), dir.path().join("key")).expect("a pair that fits");
        let shown = |certificates: &Certificates| certificates.current().end_point().map(<[u8]>::to_vec);
        let before = shown(&certificates);
        assert!(before.is_some());

        let (second, _) = write(dir.path(), &["two.example"]);
        assert_ne!(first, second);
        certificates.look(certificates.files.read());
        let after = shown(&certificates);
        assert_ne!(after, before, "the new pair");

        fs::write(dir.path().join("cert"), &first).expect("written");
        certificates.look(certificates.files.read());
        assert_eq!(shown(&certificates), after, "a certificate that the key does not fit");
        fs::remove_file(dir.path().join("key")).expect("removed");
        certificates.look(certificates.files.read());
        assert_eq!(shown(&certificates), after, "no key at all");
        write(dir.path(), &["three.example"]);
        certificates.look(certificates.files.read());
        assert_ne!(shown(&certificates), after, "whole again");
    }

    #[test]
    fn what_cannot_be_read_is_named_by_its_key() {
        let dir = tempfile::tempdir().expect("a folder");
        let read = || Certificates::read(dir.path().join("cert"), dir.path().join("key")).map(|_| ());
        assert!(read().expect_err("nothing there").to_string().starts_with("certificate_file:"));
        write(dir.path(), &["one.example"]);
        read().expect("a pair");
        fs::write(dir.path().join("key"), "none").expect("written");
        assert!(read().expect_err("no key").to_string().starts_with("key_file:"));
        fs::remove_file(dir.path().join("key")).expect("removed");
        assert!(read().expect_err("no file").to_string().starts_with("key_file:"));
        write(dir.path(), &["one.example"]);
        fs::write(dir.path().join("cert"), "none").expect("written");
        assert!(read().expect_err("no certificate").to_string().starts_with("certificate_file:"));
    }
}
