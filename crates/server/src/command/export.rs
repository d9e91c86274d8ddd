//! `sindico backup export`: a backup's tables as files.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

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
    empty_folder(&args.to)?;
    let bar = ProgressBar::new(u64::try_from(tables.len()).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} tables {elapsed}") {
        bar.set_style(style);
    }
    let mut sums = vec![write_whole(&args.to, "schema.sql", &schema(&backup["contents"]))?];
    for table in tables {
        let name = table["name"].as_str().unwrap_or_default();
        // A table's name may be anything; a file's may not.
        let file = format!("{}.{}", segment(name), args.format.as_str());
        let from = format!("{path}/tables/{}?format={}", segment(name), args.format.as_str());
        sums.push(download(&args.to, &file, &from, client).await?);
        bar.inc(1);
    }
    sums.push(write_whole(&args.to, "backup.json", &format!("{backup:#}\n"))?);
    // As `sha256sum --check` reads it.
    let mut list = String::new();
    for Sum { name, sha256 } in &sums {
        let _a_string_takes_all = writeln!(list, "{sha256}  {name}");
    }
    write_whole(&args.to, "SHA256SUMS", &list)?;
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

fn empty_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut found = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    match found.next() {
        Some(_) => bail!("{} is not empty; name a folder that is, or is not there yet", folder.display()),
        None => Ok(()),
    }
}

/// Rows are a tenant's: nobody but who exports them reads the files.
fn make(folder: &Path, name: &str) -> anyhow::Result<File> {
    let path = folder.join(name);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    made.with_context(|| format!("cannot make {}", path.display()))
}

fn write_whole(folder: &Path, name: &str, text: &str) -> anyhow::Result<Sum> {
    let told = || format!("cannot write {name}");
    let mut file = make(folder, name)?;
    file.write_all(text.as_bytes()).with_context(told)?;
    file.sync_all().with_context(told)?;
    let sha256 = HEXLOWER.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    Ok(Sum { name: name.to_owned(), sha256 })
}

async fn download(folder: &Path, name: &str, from: &str, client: &Client) -> anyhow::Result<Sum> {
    let told = || format!("cannot write {name}");
    let mut file = make(folder, name)?;
    let mut answer = client.stream(from).await?;
    let mut sum = digest::Context::new(&digest::SHA256);
    let broken = "the answer broke off; síndico's log tells why";
    while let Some(piece) = answer.chunk().await.with_context(|| format!("{name}: {broken}"))? {
        sum.update(&piece);
        file.write_all(&piece).with_context(told)?;
    }
    file.sync_all().with_context(told)?;
    Ok(Sum { name: name.to_owned(), sha256: HEXLOWER.encode(sum.finish().as_ref()) })
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
        empty_folder(&dir.path().join("new")).expect("made");
        write_whole(dir.path(), "a", "b").expect("written");
        assert!(empty_folder(dir.path()).expect_err("not empty").to_string().contains("not empty"));
        assert!(write_whole(dir.path(), "a", "c").is_err(), "written over");
    }
}
