//! The sample app's files.

use std::path::PathBuf;

use tenantize::{Sources, SqlFile};

pub(crate) fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../apps/petshop")
}

pub(crate) fn petshop() -> Sources {
    Sources { migrations: files("migrations"), seed: files("seed") }
}

fn files(folder: &str) -> Vec<SqlFile> {
    let entries = std::fs::read_dir(directory().join(folder)).expect("the app's files");
    let mut files: Vec<SqlFile> = entries
        .map(|entry| {
            let entry = entry.expect("a file");
            let name = format!("{folder}/{}", entry.file_name().to_string_lossy());
            SqlFile { name, text: std::fs::read_to_string(entry.path()).expect("text") }
        })
        .collect();
    files.sort_by(|left, right| left.name.cmp(&right.name));
    files
}
