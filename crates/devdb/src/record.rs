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
        let nonce = hex(&mut File::open("/dev/urandom")?, 8)?;
        Ok(Self {
            instance: format!("sindico-{nonce}"),
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
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
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
