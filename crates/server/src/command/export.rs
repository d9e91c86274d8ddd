//! `sindico backup export`: a backup's tables as files.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use crate::cli::ExportArgs;
use crate::client::{Client, segment};
use crate::console::{Console, rows};

/// A file that was written, for the list of checksums.
struct Sum {
    name: String,
    sha256: String,
}

pub(crate) async fn run(args: &ExportArgs, client: &Client, console: Console) -> anyhow::Result<()> {
    let path = format!("/backups/{}", segment(&args.backup));
    let backup = client.get(&path).await?;
    let Some(tables) = backup["contents"]["tables"].as_array() else {
        bail!("backup {} is not complete yet; `sindico operation list` shows how far it is", args.backup);
    };
    let mut folder = Folder::make(&args.to)?;
    let bar = ProgressBar::new(u64::try_from(tables.len()).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} tables {elapsed}") {
        bar.set_style(style);
    }
    folder.write("schema.sql", &schema(&backup["contents"]))?;
    for table in tables {
        let name = table["name"].as_str().unwrap_or_default();
        // A table's name may be anything; a file's may not.
        let file = format!("{}.{}", segment(name), args.format.as_str());
        let from = format!("{path}/tables/{}?format={}", segment(name), args.format.as_str());
        folder.download(&file, &from, client).await?;
        bar.inc(1);
    }
    folder.write("backup.json", &format!("{backup:#}\n"))?;
    folder.seal()?;
    bar.finish_and_clear();
    let told = json!({"backup": args.backup, "folder": args.to, "tables": tables.len(), "rows": backup["rows"]});
    console.result(&told, |told| {
        format!(
            "{} rows of {} tables are in {}; check them with `sha256sum --check SHA256SUMS` there",
            told["rows"],
            told["tables"],
            args.to.display()
        )
    });
    Ok(())
}

/// A folder of rows, with a list of what its files should be. Rows are a tenant's: nobody but who exports them reads the files.
pub(super) struct Folder {
    path: PathBuf,
    sums: Vec<Sum>,
}

impl Folder {
    /// One that nothing is in.
    pub(super) fn make(path: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot make {}", path.display()))?;
        let mut found = fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        match found.next() {
            Some(_) => bail!("{} is not empty; name a folder that is, or is not there yet", path.display()),
            None => Ok(Self { path: path.to_owned(), sums: Vec::new() }),
        }
    }

    fn file(&self, name: &str) -> anyhow::Result<File> {
        let path = self.path.join(name);
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        made.with_context(|| format!("cannot make {}", path.display()))
    }

    pub(super) fn write(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        let told = || format!("cannot write {name}");
        let mut file = self.file(name)?;
        file.write_all(text.as_bytes()).with_context(told)?;
        file.sync_all().with_context(told)?;
        let sha256 = HEXLOWER.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        self.sums.push(Sum { name: name.to_owned(), sha256 });
        Ok(())
    }

    pub(super) async fn download(&mut self, name: &str, from: &str, client: &Client) -> anyhow::Result<()> {
        let told = || format!("cannot write {name}");
        let mut file = self.file(name)?;
        let mut answer = client.stream(from).await?;
        let mut sum = digest::Context::new(&digest::SHA256);
        let broken = "the answer broke off; síndico's log tells why";
        while let Some(piece) = answer.chunk().await.with_context(|| format!("{name}: {broken}"))? {
            sum.update(&piece);
            file.write_all(&piece).with_context(told)?;
        }
        file.sync_all().with_context(told)?;
        self.sums.push(Sum { name: name.to_owned(), sha256: HEXLOWER.encode(sum.finish().as_ref()) });
        Ok(())
    }

    /// Writes the list, as `sha256sum --check` reads it.
    pub(super) fn seal(mut self) -> anyhow::Result<()> {
        let mut list = String::new();
        for Sum { name, sha256 } in &self.sums {
            let _a_string_takes_all = writeln!(list, "{sha256}  {name}");
        }
        self.write("SHA256SUMS", &list)
    }
}

/// The app's migrations, one after another: they make the tables on an empty PostgreSQL.
fn schema(contents: &Value) -> String {
    let mut text = String::new();
    for file in rows(&contents["migrations"]) {
        let word = |field: &str| file[field].as_str().unwrap_or_default();
        let _a_string_takes_all = write!(text, "-- {}\n{}\n", word("path"), word("content").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_is_all_migrations_in_order() {
        let contents = json!({"migrations": [{"path": "migrations/1.sql", "content": "A;\n\n"},
            {"path": "migrations/2.sql", "content": "B;"}]});
        assert_eq!(schema(&contents), "-- migrations/1.sql\nA;\n-- migrations/2.sql\nB;\n");
    }

    #[test]
    fn a_folder_with_files_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let new = dir.path().join("new");
        let mut folder = Folder::make(&new).expect("made");
        folder.write("a", "b").expect("written");
        assert!(Folder::make(&new).err().expect("not empty").to_string().contains("not empty"));
        assert!(folder.write("a", "c").is_err(), "written over");
    }
}
