//! The disk of the backups is full: nothing is lost, nothing half is left, and when there is room again all goes on.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::instance::{ANY_PORTS, Home, psql, sindico_with_disk, text};

const FULL: &str = "No space left on device";

/// Rows of digits, of which zstd makes half.
const MANY: &str = "INSERT INTO clients (name, email, notes, created_at)
    SELECT 'old', n || '@example.org', (SELECT string_agg(md5(n || ' ' || i), '') FROM generate_series(1, 60) i),
        now() - interval '40 days'
    FROM generate_series(1, 4000) n";

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn nothing_is_lost_or_left_half_done() {
    let home = Home::new();
    home.up(&ANY_PORTS).end(Signal::SIGTERM);
    let backups = home.dir().join("backups");
    fs::create_dir_all(&backups).expect("a folder");
    let up = home.up_by(sindico_with_disk(&backups, "3m"), &ANY_PORTS);
    // What the processes beside it see there is an empty folder.
    let disk = PathBuf::from(format!("/proc/{}/root{}", up.pid(), backups.display()));
    let shop = home.shop();
    let rule =
        "name = \"petshop\"\n[retention.clients]\ncolumn = 'created_at'\nkeep = '30 days'\narchive = 'forever'\n";
    fs::write(shop.join("app.toml"), rule).expect("written");
    home.sindico(&["app", "add", shop.to_str().expect("UTF-8")]).ok();
    let dsn = text(&home.json(&["tenant", "create", "paws", "--isolation", "schema"]), "dsn").to_owned();
    psql(&dsn, MANY).ok();
    let count = || psql(&dsn, "SELECT count(*) FROM clients WHERE name = 'old'").ok();

    let full = |words: &[&str]| {
        let said = home.sindico(words);
        assert!(said.code == Some(1) && said.out.contains(FULL), "{said:#?}");
    };
    full(&["backup", "create", "paws"]);
    assert_eq!(home.json(&["backup", "list"]).as_array().map(Vec::len), Some(0));
    full(&["retention", "run", "petshop"]);
    assert_eq!(count(), "4000\n", "what cannot be archived stays");
    assert!(files(&disk).is_empty(), "{:?}", files(&disk));
    let tried = home.json(&["archive", "list"]);
    let tried = tried.as_array().expect("archives");
    assert!(!tried.is_empty() && tried.iter().all(|it| text(it, "state") == "removing"), "{tried:#?}");

    // Fewer rows find room.
    psql(&dsn, "DELETE FROM clients WHERE name = 'old' AND id % 8 <> 0").ok();
    let backup = text(&home.json(&["backup", "create", "paws"]), "id").to_owned();
    home.sindico(&["backup", "verify", &backup]).ok();
    home.sindico(&["backup", "delete", &backup, "--yes"]).ok();
    assert!(home.sindico(&["retention", "run", "petshop"]).ok().contains("clients: 500, archived"));
    assert_eq!(count(), "0\n");
    let archives = home.json(&["archive", "list"]);
    assert_eq!((archives[0]["state"].as_str(), archives[0]["rows"].as_i64()), (Some("kept"), Some(500)));
    let shown = home.sindico(&["archive", "show", text(&archives[0], "id")]).ok();
    assert!(shown.contains("created_at") && shown.contains("timestamp with time zone"), "{shown}");
    let old = home.desk().join("old");
    let said = home.sindico(&["archive", "export", "--tenant", "paws", "--to", old.to_str().expect("UTF-8")]).ok();
    assert!(said.contains("500 rows of 1 archives"), "{said}");
    let sums =
        std::process::Command::new("sha256sum").args(["--check", "--quiet", "SHA256SUMS"]).current_dir(&old).status();
    assert!(sums.expect("sha256sum").success());
    let csv = files(&old).into_iter().find(|path| path.extension().is_some_and(|it| it == "csv")).expect("a file");
    assert_eq!(fs::read_to_string(csv).expect("text").lines().count(), 501);
    home.sindico(&["archive", "delete", text(&archives[0], "id"), "--yes"]).ok();
    assert!(files(&disk).is_empty(), "{:?}", files(&disk));
    home.sindico(&["sweep"]).ok();
    up.end(Signal::SIGTERM);
}
