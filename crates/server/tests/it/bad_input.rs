//! What cannot work is refused with a reason and a remedy, and changes nothing.

mod encrypted;
mod serve;
mod slow;

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;

use crate::instance::{ANY_PORTS, Home, Said, psql, run, sindico, text};

fn up(dir: &Path, words: &[&str]) -> Said {
    run(sindico().arg("up").arg("--dir").arg(dir).args(words))
}

#[test]
fn a_port_that_is_taken_costs_nothing() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let home = Home::new();
    for (words, door) in [
        (["--gateway-port", &port, "--api-port", "0"], "gateway"),
        (["--gateway-port", "0", "--api-port", &port], "control API"),
    ] {
        up(home.dir(), &words).fails(1, &[&port, door, "give another, or 0 for any"]);
        assert_eq!(fs::read_dir(home.clusters()).expect("made").count(), 0, "no cluster was begun");
        assert_eq!(home.endpoints(), None);
        assert_eq!(home.remains(), Vec::<i32>::new());
    }
}

#[test]
fn a_folder_that_cannot_be_one_is_refused() {
    let home = Home::new();
    let file = home.desk().join("file");
    fs::write(&file, "precious").expect("written");
    for dir in [file.clone(), file.join("below"), file.join("far/below"), Path::new("/proc/sindico").to_owned()] {
        let named = dir.display().to_string();
        up(&dir, &ANY_PORTS).fails(1, &[&named, "--dir"]);
        // Clients that are pointed to it do not take it for an instance either.
        run(sindico().arg("--dir").arg(&dir).args(["tenant", "list"])).fails(1, &[&named]);
    }
    assert_eq!(fs::read_to_string(&file).expect("read"), "precious");
}

#[test]
fn damaged_state_is_named() {
    let home = Home::new();
    fs::create_dir(home.dir()).expect("made");
    fs::write(home.dir().join("endpoints.json"), "{").expect("written");
    home.sindico(&["tenant", "list"]).fails(1, &["endpoints.json is damaged", "restart síndico"]);
    fs::write(home.dir().join("master.key"), "short").expect("written");
    home.spawn(&ANY_PORTS).wait().expect("ended");
    let said = home.spoken();
    assert!(said.contains("master.key is damaged"), "{said}");
    assert_eq!(fs::read_to_string(home.dir().join("master.key")).expect("read"), "short", "nobody replaced it");
    assert_eq!(home.remains(), Vec::<i32>::new(), "what it had started it has stopped");
}

/// An app that differs in one file from one that works.
struct Attempt {
    about: &'static str,
    file: &'static str,
    content: &'static [u8],
    says: &'static [&'static str],
}

const MIGRATION: &str = "CREATE TABLE guests (\n    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n    \
                         name text NOT NULL CHECK (name <> '')\n);\n";

const ATTEMPTS: [Attempt; 12] = [
    Attempt {
        about: "the manifest is not TOML",
        file: "app.toml",
        content: b"name = \"hotel\"\ntitle\n",
        says: &["app.toml, line 2"],
    },
    Attempt {
        about: "the manifest has a key of its own",
        file: "app.toml",
        content: b"name = \"hotel\"\n\ncolour = \"blue\"\n",
        says: &["app.toml, line 3", "colour"],
    },
    Attempt {
        about: "the app's name cannot be one",
        file: "app.toml",
        content: b"name = \"Hotel; DROP\"\n",
        says: &["app.toml, line 1", "Hotel; DROP"],
    },
    Attempt {
        about: "SQL that no grammar knows",
        file: "migrations/0002.sql",
        content: b"CREATE TABLE rooms (id int PRIMARY KEY);\nCREATE TABEL beds (id int);\n",
        says: &["migrations/0002.sql:2", "TABEL", "correct the statement"],
    },
    Attempt {
        about: "SQL that ends too early",
        file: "migrations/0002.sql",
        content: b"CREATE TABLE rooms (\n    note text DEFAULT 'unfinished\n);\n",
        says: &["migrations/0002.sql:"],
    },
    Attempt {
        about: "SQL that cannot be made safe",
        file: "migrations/0002.sql",
        content: b"\n\nCREATE MATERIALIZED VIEW busy AS SELECT count(*) FROM guests;\n",
        says: &["migrations/0002.sql:3", "materialized view", "; "],
    },
    Attempt {
        about: "a type that does not exist",
        file: "migrations/0002.sql",
        content: b"CREATE TABLE rooms (id int PRIMARY KEY);\n\nCREATE TABLE beds (\n    id int PRIMARY KEY,\n    \
                   size furlong\n);\n",
        says: &["migrations/0002.sql:", "furlong"],
    },
    Attempt {
        about: "a table that does not exist",
        file: "migrations/0002.sql",
        content: b"CREATE TABLE rooms (id int PRIMARY KEY, guest bigint REFERENCES guest (id));\n",
        says: &["migrations/0002.sql:1", "guest"],
    },
    Attempt {
        about: "first rows that break a rule",
        file: "seed/0001.sql",
        content: b"INSERT INTO guests (name) VALUES ('Ana');\nINSERT INTO guests (name) VALUES ('');\n",
        says: &["seed/0001.sql:2", "guests"],
    },
    Attempt {
        about: "a file that is no SQL",
        file: "migrations/README",
        content: b"read me",
        says: &["README is no SQL file", "*.sql only"],
    },
    Attempt {
        about: "a file that is no text",
        file: "seed/0001.sql",
        content: b"INSERT INTO guests (name) VALUES ('\xff');\n",
        says: &["seed/0001.sql", "UTF-8"],
    },
    Attempt {
        about: "a file with a NUL",
        file: "seed/0001.sql",
        content: b"INSERT INTO guests (name) VALUES ('\0');\n",
        says: &["seed/0001.sql", "NUL"],
    },
];

/// Writes the app that works, and over it the file that does not.
fn folder(at: &Path, attempt: Option<&Attempt>) {
    if at.exists() {
        fs::remove_dir_all(at).expect("removed");
    }
    for part in ["migrations", "seed"] {
        fs::create_dir_all(at.join(part)).expect("made");
    }
    fs::write(at.join("app.toml"), "name = \"hotel\"\n").expect("written");
    fs::write(at.join("migrations/0001.sql"), MIGRATION).expect("written");
    fs::write(at.join("seed/0001.sql"), "INSERT INTO guests (name) VALUES ('Bia');\n").expect("written");
    if let Some(attempt) = attempt {
        fs::write(at.join(attempt.file), attempt.content).expect("written");
    }
}

/// Everything on both servers that an app could leave behind.
fn inventory(home: &Home) -> Vec<String> {
    let names = "SELECT 'role ' || rolname FROM pg_roles UNION ALL SELECT 'database ' || datname FROM pg_database \
                 ORDER BY 1";
    ["main", "dedicated"].iter().flat_map(|cluster| home.superuser(cluster, "postgres", names)).collect()
}

#[test]
fn an_app_that_cannot_work_leaves_nothing() {
    let home = Home::new();
    let up = home.up(&ANY_PORTS);
    let at = home.desk().join("hotel");
    let path = at.to_str().expect("UTF-8");
    let add = ["app", "add", path];
    let (apps, before) = (home.json(&["app", "list"]), inventory(&home));

    home.sindico(&add).fails(1, &["is not a folder", path]);
    fs::create_dir(&at).expect("made");
    home.sindico(&add).fails(1, &["cannot read", "app.toml", "migrations/*.sql"]);
    for attempt in &ATTEMPTS {
        folder(&at, Some(attempt));
        println!("{}", attempt.about);
        home.sindico(&add).fails(1, attempt.says);
        assert_eq!(home.json(&["app", "list"]), apps, "{}", attempt.about);
        assert_eq!(inventory(&home), before, "{}", attempt.about);
    }

    // Corrected, it is taken under the same name, and its tenants work.
    folder(&at, None);
    let added = home.json(&add);
    assert_eq!((text(&added, "name"), &added["ready"]), ("hotel", &Value::Bool(true)));
    home.sindico(&["tenant", "create", "undecided"]).fails(1, &["which app", "hotel", "petshop"]);
    for isolation in ["shared", "schema", "database", "cluster"] {
        let words = ["tenant", "create", &format!("inn-{isolation}"), "--app", "hotel", "--isolation", isolation];
        let made = home.json(&words);
        assert_eq!(psql(text(&made, "dsn"), "SELECT name FROM guests").ok(), "Bia\n", "{isolation}");
    }
    // Another app of that name is another app.
    folder(
        &at,
        Some(&Attempt { about: "", file: "migrations/0002.sql", content: b"CREATE TABLE x (a int);", says: &[] }),
    );
    home.sindico(&add).fails(1, &["hotel"]);
    drop(up);
}
