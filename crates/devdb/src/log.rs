//! The server's log: one file per run, and the one of the run before.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::layout::Layout;

/// How much of the end of a log goes into an error.
const TAIL_LINES: usize = 15;
const TAIL_BYTES: u64 = 8 * 1024;

/// Puts the log of the run before aside, so that a run's log is its own and two runs bound the space.
pub(crate) fn rotate(layout: &Layout) -> io::Result<()> {
    match fs::rename(layout.log(), layout.earlier_log()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Opens an empty log for a server to append to.
pub(crate) fn open(layout: &Layout) -> io::Result<File> {
    let file = File::options().append(true).create(true).mode(0o600).open(layout.log())?;
    file.set_len(0)?;
    Ok(file)
}

/// The last lines of the log. An unreadable log says so in their place: this is for errors, which have worse to tell.
pub(crate) fn tail(layout: &Layout) -> String {
    read_end(&layout.log()).unwrap_or_else(|error| format!("(cannot read {}: {error})", layout.log().display()))
}

fn read_end(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(last_lines(&String::from_utf8_lossy(&bytes)))
}

/// The last lines of a text, which may be the end of a longer one.
pub(crate) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::{last_lines, open, rotate, tail};
    use crate::layout::Layout;

    #[test]
    fn only_the_end_is_kept() {
        let lines: Vec<String> = (1..=40).map(|n| format!("line {n}")).collect();
        let tail = last_lines(&(lines.join("\n") + "\n"));
        assert!(tail.starts_with("line 26\n") && tail.ends_with("line 40"), "{tail}");
        assert_eq!(last_lines(""), "");
    }

    #[test]
    fn each_run_has_its_own_log() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path().to_owned());
        assert!(tail(&layout).contains("server.log"));
        std::fs::write(layout.log(), "x".repeat(20_000) + "\nthe end\n").unwrap();
        assert!(tail(&layout).ends_with("the end"));
        assert!(tail(&layout).len() <= 8 * 1024);
        rotate(&layout).unwrap();
        drop(open(&layout).unwrap());
        assert_eq!(tail(&layout), "");
        assert!(std::fs::read_to_string(layout.earlier_log()).unwrap().ends_with("the end\n"));
    }
}
