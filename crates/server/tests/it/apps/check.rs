//! `sindico app check`, which needs no síndico to be running.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::instance::{Said, run, sindico};

const APPS: [&str; 3] = ["petshop", "vms", "camara"];

fn check(folder: &Path, words: &[&str]) -> Said {
    run(sindico().args(["app", "check"]).arg(folder).args(words))
}

fn sample(app: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps").join(app)
}

/// An app of one migration, in a folder that is gone afterwards.
fn app(migration: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("migrations")).expect("made");
    fs::write(folder.path().join("app.toml"), "name = \"notes\"").expect("written");
    fs::write(folder.path().join("migrations/1.sql"), migration).expect("written");
    folder
}

#[test]
fn the_apps_of_this_repository_are_accepted() {
    for name in APPS {
        let said = check(&sample(name), &[]);
        assert_eq!(said.code, Some(0), "{name}: {}", said.out);
        // Advice about indexes is no fault.
        assert!(said.err.lines().all(|line| line.starts_with("app.toml, [retention.")), "{name}: {}", said.err);
        assert!(!said.out.contains('\u{1b}'), "colours are for terminals: {}", said.out);
        let last = said.out.lines().last().unwrap_or_default();
        assert!(last.starts_with("tables ") && last.ends_with("refused 0"), "{last}");
    }
}

#[test]
fn each_statement_tells_what_becomes_of_it() {
    let folder = app(
        "-- sindico: global\nCREATE TABLE kinds (id int PRIMARY KEY);\n\nCREATE TABLE notes (\n    id int PRIMARY KEY,\n    kind int REFERENCES kinds\n);\n",
    );
    let page = check(folder.path(), &[]).ok();
    let lines: Vec<&str> = page.lines().collect();
    assert_eq!(lines[0], "migrations/1.sql");
    assert!(lines[1].contains("2  CREATE TABLE") && lines[1].contains("in schema global"), "{page}");
    assert!(lines[2].contains("4  CREATE TABLE  notes"), "{page}");
    assert!(lines[2].contains("shared: tenant_id added") && lines[2].contains("database: as written"), "{page}");
    assert!(!page.contains("CREATE POLICY"), "the SQL is shown on request: {page}");

    let shared = check(folder.path(), &["--isolation", "shared", "--sql"]).ok();
    assert!(shared.contains("CREATE POLICY tenant ON") && !shared.contains("database:"), "{shared}");
    let schema = check(folder.path(), &["--isolation", "schema", "--sql"]).ok();
    assert!(!schema.contains("CREATE POLICY") && !schema.contains("CREATE TABLE kinds ("), "{schema}");
}

#[test]
fn programs_get_the_same_as_json() {
    let folder = app("CREATE TABLE notes (id int PRIMARY KEY);");
    let report = check(folder.path(), &["--json"]).json();
    assert_eq!((&report["app"], &report["accepted"], &report["refused"]), (&json!("notes"), &json!(true), &json!([])));
    assert_eq!(report["summary"]["tables"], json!({"tenant": 1, "global": 0}));
    let statement = &report["files"][0]["statements"][0];
    assert_eq!(
        (&statement["kind"], &statement["name"], &statement["line"]),
        (&json!("CREATE TABLE"), &json!("notes"), &json!(1))
    );
    let becomes = statement["becomes"].as_object().expect("isolations");
    assert_eq!(becomes.keys().collect::<Vec<_>>(), ["database", "schema", "shared"]);
    let texts = |isolation: &str| becomes[isolation]["sql"].as_array().map(Vec::len);
    assert!(texts("shared") > texts("database"), "{statement:#}");
}

#[test]
fn what_is_refused_stands_with_its_place_reason_and_remedy() {
    let folder = app(
        "CREATE TABLE notes (id int PRIMARY KEY);\n\nCREATE EXTENSION dblink;\nCREATE TABLESPACE mine LOCATION '/mine';\n",
    );
    let said = check(folder.path(), &[]);
    assert_eq!(said.code, Some(1), "{said:?}");
    for word in ["migrations/1.sql:3  CREATE EXTENSION dblink", "migrations/1.sql:4", "refused: ", "instead: "] {
        assert!(said.out.contains(word), "{word:?} is not in: {}", said.out);
    }
    assert_eq!(said.err, "sindico: 2 statements of notes are refused\n");

    let said = check(folder.path(), &["--json"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    let report: Value = serde_json::from_str(&said.out).expect("JSON");
    let lines: Vec<&Value> = report["refused"].as_array().expect("a list").iter().map(|it| &it["line"]).collect();
    assert_eq!((lines, &report["accepted"]), (vec![&json!(3), &json!(4)], &json!(false)));
}

#[test]
fn a_folder_that_is_no_app_is_named() {
    let nowhere = check(Path::new("/nowhere/at/all"), &[]);
    nowhere.fails(1, &["/nowhere/at/all", "not a folder"]);
    let folder = app("CREATE TABLE notes (id int PRIMARY KEY);");
    fs::write(folder.path().join("app.toml"), "name = \"Notes\"").expect("written");
    check(folder.path(), &[]).fails(1, &["app.toml", "line 1", "Notes"]);
}
