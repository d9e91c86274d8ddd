//! What we remember of the server we started, so that the next síndico recognises it after a crash.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{
    layout::{Layout, remove_file_if_present, replace_file},
    password::hex,
    process::Process,
    programs::Programs,
};

const INSTANCE_PREFIX: &str = "sindico-";
/// Two hexadecimal digits each. 64 bits do not repeat among the runs of one machine.
const NONCE_BYTES: usize = 8;

/// The content of `running.json`.
///
/// It is written before the server starts, so that there is no moment in which a server of ours is not on record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The server's `cluster_name`: unique to this run, and in the command line of each of its processes, where
    /// everybody may read it.
    pub(crate) instance: String,
    /// Absent between the decision to start the server and its start; for people, the instance is what identifies it.
    pub(crate) pid: Option<u32>,
    pub(crate) port: u16,
    /// Seconds since 1970, for people.
    pub(crate) started: u64,
    pub(crate) bin: PathBuf,
    pub(crate) version: String,
    pub(crate) settings: Vec<(String, String)>,
}

impl Record {
    pub(crate) fn new(programs: &Programs, settings: &[(String, String)], port: u16) -> io::Result<Self> {
        let nonce = hex(&mut File::open("/dev/urandom")?, NONCE_BYTES)?;
        Ok(Self {
            instance: format!("{INSTANCE_PREFIX}{nonce}"),
            pid: None,
            port,
            started: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            bin: programs.bin().to_owned(),
            version: programs.version().to_string(),
            settings: settings.to_vec(),
        })
    }

    /// The record of the last run that was not ended in order, if any. One that cannot be understood is as good as
    /// none: the server it was about is then not ours to touch.
    pub(crate) fn read(layout: &Layout) -> io::Result<Option<Self>> {
        match fs::read(layout.running()) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok().filter(Self::is_distinctive)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the instance has the form that [`Record::new`] gives it. A shorter one would be found in the command lines
    /// of servers that are not ours.
    fn is_distinctive(&self) -> bool {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let nonce = self.instance.strip_prefix(INSTANCE_PREFIX);
        nonce.is_some_and(|nonce| nonce.len() == 2 * NONCE_BYTES && nonce.bytes().all(is_digit))
    }

    pub(crate) fn write(&self, layout: &Layout) -> io::Result<()> {
        replace_file(&layout.running(), &(serde_json::to_string_pretty(self)? + "\n"))
    }

    pub(crate) fn forget(layout: &Layout) -> io::Result<()> {
        remove_file_if_present(&layout.running())
    }

    /// Whether `process` belongs to the server on record.
    pub(crate) fn is_about(&self, process: Process) -> bool {
        process.is_postgres() && process.mentions(&self.instance)
    }

    /// Whether a server started now would be the same but for its port.
    pub(crate) fn matches(&self, programs: &Programs, settings: &[(String, String)]) -> bool {
        self.bin == programs.bin() && self.version == programs.version().to_string() && self.settings == settings
    }
}

/// The port of the previous run.
pub(crate) fn previous_port(path: &Path) -> Option<u16> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::Record;
    use crate::{layout::Layout, programs::Programs};

    #[test]
    fn a_record_with_an_instance_that_is_not_ours_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_owned());
        let record = Record::new(&Programs::find().unwrap(), &[], 5432).unwrap();
        record.write(&layout).unwrap();
        assert_eq!(Record::read(&layout).unwrap().as_ref(), Some(&record));
        for instance in ["", "s", "sindico-", "sindico-0123", "sindico-0123456789abcdeg", "postgres-0123456789abcdef"] {
            Record { instance: instance.to_owned(), ..record.clone() }.write(&layout).unwrap();
            assert_eq!(Record::read(&layout).unwrap(), None, "{instance:?}");
        }
    }
}
