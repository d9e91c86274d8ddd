//! Every command, as people and programs type it, against a running `sindico up`.

use serde_json::Value;

use crate::instance::{ANY_PORTS, Home, Up, psql, run, sindico, text};

const ALL: [&str; 4] = ["shared", "schema", "database", "cluster"];

/// One instance for all of it: a start takes longer than any command.
#[test]
fn commands() {
    let home = Home::new();
    // What operations do is looked at, and that is more when nothing is made ahead.
    let up = home.up(&[&ANY_PORTS[..], &["--warm-pool", "0"]].concat());
    nothing_there(&home);
    for isolation in ALL {
        a_tenants_life(&home, isolation);
    }
    pools(&home);
    operations(&home);
    keys(&home);
    schemas(&home);
    imports(&home);
    listings(&home);
    elsewhere(&home, &up);
    refusals(&home);
    migrations(&home);
    schedules(&home);
    usage(&home);
    drop(up);
}

/// What a table shows: words by line, whatever the widths of its columns.
fn words(shown: &str) -> Vec<Vec<&str>> {
    shown.lines().map(|line| line.split_whitespace().collect()).collect()
}

/// The value beside a card's title.
fn line<'a>(card: &'a str, title: &str) -> &'a str {
    let value = card.lines().find_map(|line| line.strip_prefix(title)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no line {title:?} in:\n{card}")).trim()
}

fn nothing_there(home: &Home) {
    assert_eq!(home.json(&["tenant", "list"]), serde_json::json!([]));
    assert!(
        home.sindico(&["tenant", "list"]).ok().contains("sindico tenant create"),
        "an empty list says how to go on"
    );
}

fn a_tenants_life(home: &Home, isolation: &str) {
    let slug = format!("paws-{isolation}");
    let made = home.json(&["tenant", "create", &slug, "--isolation", isolation, "--name", "Patas & Cia"]);
    assert_eq!((text(&made, "slug"), text(&made, "isolation")), (slug.as_str(), isolation));
    assert_eq!((text(&made, "status"), text(&made, "name")), ("active", "Patas & Cia"));
    let (id, dsn, key) = (text(&made, "id"), text(&made, "dsn"), text(&made, "key"));
    assert!(dsn.contains(&format!(":{key}@")), "{made:#}");
    assert_eq!(psql(dsn, "SELECT name FROM clients").ok(), "Ana Souza\n", "{isolation}: the string works as it is");

    let shown = home.sindico(&["tenant", "show", &slug]).ok();
    assert_eq!((line(&shown, "id"), line(&shown, "isolation")), (id, isolation));
    assert_eq!((line(&shown, "name"), line(&shown, "status")), ("Patas & Cia", "active"));
    assert!(!shown.contains(key), "a key is shown once");
    let by_id = home.json(&["tenant", "show", id]);
    assert_eq!(text(&by_id, "slug"), slug);
    assert!(by_id.get("key").is_none() && by_id.get("dsn").is_none(), "{by_id:#}");

    assert_eq!(home.sindico(&["tenant", "psql", &slug, "--", "-XAtc", "select 1"]).ok(), "1\n");
    let refused = home.sindico(&["tenant", "psql", &slug, "--read-only", "--", "-XAtc", "DELETE FROM clients"]);
    assert_eq!(refused.code, Some(1), "psql's own exit code: {refused:?}");
    assert!(refused.err.contains("permission denied"), "{refused:?}");

    assert_eq!(home.sindico(&["tenant", "suspend", &slug]).ok(), format!("{slug} is suspended\n"));
    let closed = psql(dsn, "SELECT 1");
    assert!(closed.code == Some(2) && closed.err.contains("suspended"), "{closed:?}");
    assert_eq!(text(&home.json(&["tenant", "suspend", &slug]), "status"), "suspended", "twice is as once");
    assert_eq!(text(&home.json(&["tenant", "resume", &slug]), "status"), "active");
    assert_eq!(psql(dsn, "SELECT 1").ok(), "1\n");

    home.sindico(&["tenant", "delete", &slug]).fails(1, &[&slug, "--yes"]);
    assert_eq!(psql(dsn, "SELECT count(*) FROM clients").ok(), "1\n", "nobody said yes");
    assert_eq!(home.sindico(&["tenant", "delete", &slug, "--yes"]).ok(), format!("{slug} is deleted\n"));
    home.sindico(&["tenant", "show", &slug]).fails(1, &["there is no tenant", &slug]);
    let gone = psql(dsn, "SELECT 1");
    assert!(gone.code == Some(2) && gone.err.contains("not found"), "{gone:?}");

    // In prose the key is on its line, and the line to try works when pasted.
    let prose = home.sindico(&["tenant", "create", &slug, "--isolation", isolation]).ok();
    assert!(line(&prose, "key").starts_with("sk_"), "{prose}");
    assert!(prose.contains(&format!("psql \"{}\"", line(&prose, "dsn"))), "{prose}");
    assert_eq!(psql(line(&prose, "dsn"), "SELECT count(*) FROM clients").ok(), "1\n");
    let deleted = home.json(&["tenant", "delete", line(&prose, "id"), "--yes"]);
    assert_eq!((text(&deleted, "deleted"), text(&deleted, "id")), (slug.as_str(), line(&prose, "id")));
}

fn pools(home: &Home) {
    home.sindico(&["tenant", "create", "pooled"]).ok();
    let shown = home.sindico(&["tenant", "pool", "pooled"]).ok();
    assert_eq!(line(&shown, "mode"), "as configured (gateway.pool_mode)");
    let changed =
        home.sindico(&["tenant", "pool", "pooled", "--mode", "session", "--max-server-connections", "20"]).ok();
    assert_eq!((line(&changed, "mode"), line(&changed, "max server connections")), ("session", "20"));
    let changed =
        home.json(&["tenant", "pool", "pooled", "--mode", "default", "--pooling", "dense", "--max-clients", "3"]);
    let expected = serde_json::json!({
        "mode": null, "pooling": "dense", "max_server_connections": 20, "max_clients": 3
    });
    assert_eq!(changed, expected, "what is not named stays");
    home.sindico(&["tenant", "pool", "pooled", "--mode", "statement"])
        .fails(2, &["statement", "transaction or session"]);
    home.sindico(&["tenant", "pool", "pooled", "--max-clients", "0"]).fails(2, &["--max-clients"]);
    home.sindico(&["tenant", "pool", "nobody"]).fails(1, &["there is no tenant"]);
    home.sindico(&["tenant", "delete", "pooled", "--yes"]).ok();
}

fn operations(home: &Home) {
    let made = home.sindico(&["tenant", "create", "unhurried", "--no-wait"]).ok();
    let id = line(&made, "operation");
    assert!(made.contains(&format!("sindico operation watch {id}")), "{made}");
    let watched = home.sindico(&["operation", "watch", id]).ok();
    assert_eq!((line(&watched, "state"), line(&watched, "kind")), ("succeeded", "provision"));
    assert_eq!(psql(line(&made, "dsn"), "SELECT name FROM clients").ok(), "Ana Souza\n");
    let shown = home.sindico(&["operation", "show", id]).ok();
    let steps: Vec<_> =
        words(&shown).into_iter().filter(|words| words.get(1) == Some(&"done")).map(|it| it[0]).collect();
    assert_eq!(steps, ["reserve", "roles", "storage", "open"]);
    home.sindico(&["operation", "cancel", id]).fails(1, &["cannot be cancelled", "it has ended"]);

    let gone = home.json(&["tenant", "delete", "unhurried", "--yes", "--no-wait"]);
    let ended = home.json(&["operation", "watch", text(&gone, "id")]);
    assert_eq!((text(&ended, "state"), text(&ended, "kind")), ("succeeded", "remove"));
    let listed = home.sindico(&["operation", "list", "--limit", "2"]).ok();
    let kinds: Vec<_> = words(&listed).iter().map(|words| words[1]).collect();
    assert_eq!(kinds, ["KIND", "remove", "provision"], "newest first");
    assert_eq!(home.sindico(&["operation", "list", "--state", "failed"]).ok(), "no operations\n");
    home.sindico(&["operation", "list", "--state", "lost"]).fails(1, &["lost", "succeeded"]);
    home.sindico(&["operation", "show", "nothing"]).fails(1, &["there is no operation", "nothing"]);
}

fn keys(home: &Home) {
    home.json(&["tenant", "create", "keyed"]);
    let made = home.json(&["tenant", "key", "create", "keyed", "--label", "nightly report", "--read-only"]);
    assert_eq!((text(&made, "label"), text(&made, "access")), ("nightly report", "read_only"));
    assert!(made["expires_at"].is_null(), "{made:#}");
    let dsn = text(&made, "dsn");
    assert_eq!(psql(dsn, "SELECT count(*) FROM clients").ok(), "1\n");
    assert!(psql(dsn, "DELETE FROM clients").err.contains("permission denied"));

    let brief = home.json(&["tenant", "key", "create", "keyed", "--expires-in", "1"]);
    assert!(brief["expires_at"].is_string(), "{brief:#}");
    let listed = home.json(&["tenant", "key", "list", "keyed"]);
    let labels: Vec<&str> = listed.as_array().expect("a list").iter().map(|key| text(key, "label")).collect();
    assert_eq!(labels, ["first key", "nightly report", "made by sindico tenant key create"]);
    assert!(!listed.to_string().contains("sk_"), "a list holds no secret: {listed:#}");
    assert!(home.sindico(&["tenant", "key", "list", "keyed"]).ok().contains("nightly report"));

    let id = text(&made, "id");
    assert_eq!(home.sindico(&["tenant", "key", "revoke", "keyed", id]).ok(), format!("key {id} is revoked\n"));
    let refused = psql(dsn, "SELECT 1");
    assert!(refused.code == Some(2) && refused.err.contains("password authentication failed"), "{refused:?}");
    home.sindico(&["tenant", "key", "revoke", "keyed", id]).fails(1, &[id]);
    std::thread::sleep(std::time::Duration::from_millis(1_100));
    let expired = psql(text(&brief, "dsn"), "SELECT 1");
    assert!(expired.code == Some(2) && expired.err.contains("password authentication failed"), "{expired:?}");
    home.sindico(&["tenant", "key", "create", "nobody"]).fails(1, &["there is no tenant", "nobody"]);
    home.sindico(&["tenant", "key", "create", "keyed", "--label", " "]).fails(1, &["label"]);
}

fn schemas(home: &Home) {
    let made = home.json(&["tenant", "create", "roomy", "--isolation", "schema"]);
    let dsn = text(&made, "dsn");
    psql(dsn, "INSERT INTO clients (name, email) VALUES ('Gone', 'gone@example.org')").ok();
    home.sindico(&["tenant", "schema", "create", "roomy"]).fails(1, &["already has its schema"]);
    home.sindico(&["tenant", "schema", "drop", "roomy", "--confirm", "keyed"]).fails(1, &["roomy", "confirm"]);
    assert_eq!(psql(dsn, "SELECT count(*) FROM clients").ok(), "2\n", "the confirmation was another's");
    let dropped = home.sindico(&["tenant", "schema", "drop", "roomy", "--confirm", "roomy"]).ok();
    assert_eq!(dropped, "the schema of roomy is dropped\n");
    assert!(psql(dsn, "SELECT 1").err.contains("no schema"), "its doors say why");
    home.sindico(&["tenant", "schema", "drop", "roomy", "--confirm", "roomy"]).fails(1, &["no schema to drop"]);
    let anew = home.json(&["tenant", "schema", "create", "roomy"]);
    assert_eq!(anew["placement"]["schema"], made["placement"]["schema"]);
    assert_eq!(psql(dsn, "SELECT name FROM clients").ok(), "Ana Souza\n", "the same key, a new schema");
    home.sindico(&["tenant", "schema", "drop", "keyed", "--confirm", "keyed"]).fails(1, &["isolation shared"]);
}

fn listings(home: &Home) {
    let all = home.sindico(&["tenant", "list"]).ok();
    let table = words(&all);
    assert_eq!(table[0], ["SLUG", "NAME", "APP", "ISOLATION", "STATUS", "CLUSTER", "ID"]);
    assert_eq!(table[1][..6], ["keyed", "keyed", "petshop", "shared", "active", "main"]);
    assert_eq!(table[2][..6], ["roomy", "roomy", "petshop", "schema", "active", "main"]);
    let slugs = |listed: &Value| -> Vec<String> {
        listed.as_array().expect("a list").iter().map(|tenant| text(tenant, "slug").to_owned()).collect()
    };
    assert_eq!(slugs(&home.json(&["tenant", "list", "--isolation", "schema"])), ["roomy"]);
    assert_eq!(slugs(&home.json(&["tenant", "list", "--app", "petshop"])), ["keyed", "roomy"]);
    assert!(slugs(&home.json(&["tenant", "list", "--app", "other"])).is_empty());

    let clusters = home.json(&["cluster", "list"]);
    let about = |cluster: &Value| {
        (text(cluster, "name").to_owned(), cluster["dedicated"] == true, cluster["tenants"].as_u64().expect("a count"))
    };
    let clusters: Vec<_> = clusters.as_array().expect("a list").iter().map(about).collect();
    assert_eq!(clusters, [("main".to_owned(), false, 2), ("dedicated".to_owned(), true, 0)]);
    let shown = home.sindico(&["cluster", "list"]).ok();
    assert_eq!(words(&shown)[0], ["NAME", "HOST", "PORT", "VERSION", "DEDICATED", "TENANTS", "CAPACITY"]);
    let apps = home.sindico(&["app", "list"]).ok();
    assert_eq!(words(&apps)[0], ["NAME", "TITLE", "READY", "SINCE"]);
    assert_eq!(words(&apps)[1][..4], ["petshop", "Pet", "Shop", "yes"]);

    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../apps/petshop");
    let same = home.json(&["app", "add", folder]);
    assert_eq!(
        (text(&same, "name"), same["ready"].as_bool()),
        ("petshop", Some(true)),
        "adding it again changes nothing"
    );
    assert_eq!(home.json(&["app", "list"]).as_array().map(Vec::len), Some(1));
}

/// By environment, as from another machine, and by `--dir`, which wins.
fn elsewhere(home: &Home, up: &Up<'_>) {
    let (api, token) = (text(&up.endpoints, "api"), text(&up.endpoints, "admin_token"));
    // In a folder without .sindico, so that only the environment can lead to the instance.
    let at = |api: Option<&str>, token: Option<&str>, words: &[&str]| {
        let mut command = sindico();
        command.current_dir(home.desk()).args(words);
        for (name, value) in [("SINDICO_API", api), ("SINDICO_TOKEN", token)] {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        run(&mut command)
    };
    let show = ["tenant", "show", "keyed"];
    assert_eq!(line(&at(Some(api), Some(token), &show).ok(), "slug"), "keyed");
    assert_eq!(line(&at(Some(&format!("{api}/")), Some(token), &show).ok(), "slug"), "keyed", "a slash at the end");
    assert_eq!(at(Some(api), Some(token), &["tenant", "psql", "keyed", "--", "-XAtc", "select 1"]).ok(), "1\n");
    at(Some(api), Some("wrong"), &show).fails(1, &["not the admin token"]);
    at(Some(api), None, &show).fails(1, &["SINDICO_API is set without SINDICO_TOKEN"]);
    at(None, Some(token), &show).fails(1, &["SINDICO_TOKEN is set without SINDICO_API"]);
    at(None, None, &show).fails(1, &["no síndico runs in .sindico", "sindico up", "SINDICO_API"]);
    at(Some("http://127.0.0.1:1"), Some(token), &show).fails(1, &["does not answer at http://127.0.0.1:1"]);
    at(Some("nonsense"), Some(token), &show).fails(1, &["nonsense"]);
    let dir = home.dir().to_str().expect("UTF-8");
    let both = at(Some("http://127.0.0.1:1"), Some("wrong"), &["--dir", dir, "tenant", "show", "keyed"]);
    assert_eq!(line(&both.ok(), "slug"), "keyed");
}

fn refusals(home: &Home) {
    home.sindico(&["tenant", "create", "keyed"]).fails(1, &["keyed", "taken"]);
    home.sindico(&["tenant", "show", "nobody"]).fails(1, &["there is no tenant", "nobody"]);
    home.sindico(&["tenant", "show", "../../health"]).fails(1, &["there is no tenant"]);
    home.sindico(&["tenant", "create", "lost", "--app", "unknown"]).fails(1, &["unknown"]);
    home.sindico(&["tenant", "create", "lost", "--cluster", "unknown"]).fails(1, &["unknown"]);
    home.sindico(&["tenant", "create", "lost", "--cluster", "dedicated"]).fails(1, &["dedicated"]);
    home.sindico(&["cluster", "add", "other", "postgresql://a:b@127.0.0.1:1/postgres"]).fails(1, &["other"]);
    home.sindico(&["cluster", "add", "other", "nonsense"]).fails(1, &["DSN"]);
    let problem = home.sindico(&["tenant", "show", "nobody", "--json"]);
    assert_eq!((problem.code, problem.out.as_str()), (Some(1), ""));
    let body: Value = serde_json::from_str(&problem.err).expect("JSON for programs, failures too");
    assert_eq!((text(&body, "code"), body["status"].as_u64()), ("TENANT_NOT_FOUND", Some(404)));
    for (words, named) in [
        (vec!["tenant", "create", "Bad_Slug"], "other than a-z, 0-9"),
        (vec!["tenant", "create", "www"], "keeps this name"),
        (vec!["tenant", "create", "x", "--isolation", "island"], "island"),
        (vec!["tenant", "key", "create", "keyed", "--expires-in", "0"], "expires-in"),
        (vec!["tenant", "key", "revoke", "keyed", "not-an-id"], "not-an-id"),
        (vec!["tenant", "schema", "drop", "roomy"], "--confirm"),
        (vec!["cluster", "add", "Bad Name", "x"], "Bad Name"),
        (vec!["up", "--gateway-port", "65536"], "65536"),
        (vec!["tennant", "list"], "tennant"),
        (vec!["tenant"], "Usage"),
    ] {
        home.sindico(&words).fails(2, &[named]);
    }
    assert_eq!(home.json(&["tenant", "list"]).as_array().map(Vec::len), Some(2), "none of it did anything");
}

fn imports(home: &Home) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (rows, keys) = (path("tenants.csv"), path("keys.csv"));
    std::fs::write(&rows, "slug,name,isolation\nimp-one,One,schema\nimp-two,,\nNot A Slug,,\nimp-one,again,\n")
        .expect("written");
    home.sindico(&["tenant", "import", &rows]).fails(1, &["--keys"]);
    let some = home.sindico(&["tenant", "import", &rows, "--keys", &keys, "--parallel", "1"]);
    let (out, err) = (some.out, some.err);
    assert!(some.code == Some(1) && err.contains("2 of 4 tenants were not made"), "{err}");
    assert!(out.contains("2 made, 0 there already, 2 failed"), "{out}");
    let lines = words(&out);
    assert!(
        lines[1].starts_with(&["2", "imp-one", "made"]) && lines[4].starts_with(&["5", "imp-one", "failed"]),
        "{out}"
    );
    let written = std::fs::read_to_string(&keys).expect("keys");
    let dsn = written.lines().nth(1).and_then(|line| line.split(',').nth(3)).expect("a DSN");
    assert_eq!(psql(dsn, "SELECT name FROM clients").ok(), "Ana Souza\n");
    std::fs::write(&rows, "slug\nimp-one\nimp-three\n").expect("written");
    let report = home.json(&["tenant", "import", &rows, "--skip-existing"]);
    assert_eq!((&report[0]["result"], &report[1]["result"]), (&"there already".into(), &"made".into()), "{report:#}");
    assert!(!text(&report[1], "key").is_empty());
    for slug in ["imp-one", "imp-two", "imp-three"] {
        home.sindico(&["tenant", "delete", slug, "--yes"]).ok();
    }
}

fn migrations(home: &Home) {
    let shop = home.shop();
    let shop_path = shop.to_str().expect("UTF-8");
    assert!(home.sindico(&["migrate", "apply", shop_path]).ok().contains("have these migrations already"));
    std::fs::write(shop.join("migrations/0005_cards.sql"), "CREATE TABLE cards (id bigserial PRIMARY KEY);")
        .expect("written");
    home.json(&["tenant", "create", "mig-one", "--isolation", "schema"]);
    let plan = home.sindico(&["migrate", "plan", shop_path, "--sql"]).ok();
    assert!(plan.contains("to version 5 (0005_cards)") && plan.contains("CREATE TABLE cards"), "{plan}");
    assert_eq!(line(&home.sindico(&["migrate", "rehearse", shop_path]).ok(), "state"), "succeeded");
    assert!(home.sindico(&["migrate", "rehearse", shop_path]).ok().contains("have been rehearsed, or applied"));
    assert!(home.sindico(&["migrate", "status"]).ok().contains("version 4"));
    let done = home.sindico(&["migrate", "apply", shop_path, "--canary", "mig-one"]).ok();
    assert_eq!(line(&done, "state"), "succeeded");
    let status = home.sindico(&["migrate", "status", "--all"]).ok();
    assert!(status.contains("version 5 (0005_cards)") && status.contains("0 failed, 0 differ"), "{status}");
    home.sindico(&["migrate", "verify", "petshop"]).ok();
    home.sindico(&["migrate", "status", "nobody"]).fails(1, &["there is no app"]);
    home.sindico(&["tenant", "delete", "mig-one", "--yes"]).ok();
}

fn schedules(home: &Home) {
    let listed = home.sindico(&["schedule", "list"]).ok();
    assert!(listed.contains("usage") && listed.contains("0 * * * *"), "{listed}");
    let nightly = ["schedule", "create", "nightly", "verify", "30 3 * * 1-5", "--app", "petshop", "--time-zone"];
    home.sindico(&[&nightly[..], &["Mars"]].concat()).fails(1, &["Mars", "America/Sao_Paulo"]);
    let made = home.sindico(&[&nightly[..], &["America/Sao_Paulo"]].concat()).ok();
    assert!(line(&made, "next").ends_with("T06:30:00Z") && line(&made, "input").contains("petshop"), "{made}");
    home.sindico(&["schedule", "create", "nightly", "usage", "@daily"]).fails(1, &["already"]);
    home.sindico(&["schedule", "create", "often", "usage", "* * *"]).fails(1, &["* * *", "30 3 * * 1-5"]);
    home.sindico(&["schedule", "create", "Often", "usage", "@daily"]).fails(2, &["other than"]);
    assert!(home.sindico(&["schedule", "pause", "nightly"]).ok().contains("sindico schedule resume nightly"));
    assert_eq!(line(&home.sindico(&["schedule", "show", "nightly"]).ok(), "next"), "paused");
    assert!(home.sindico(&["schedule", "resume", "nightly"]).ok().contains("T06:30:00Z"));
    assert_eq!(home.json(&["schedule", "list"]).as_array().map(Vec::len), Some(2));
    home.sindico(&["schedule", "delete", "nightly"]).ok();
    home.sindico(&["schedule", "delete", "nightly"]).fails(1, &["nightly", "sindico schedule list"]);
}

fn usage(home: &Home) {
    let made = home.json(&["tenant", "create", "metered", "--isolation", "database"]);
    assert_eq!(psql(text(&made, "dsn"), "SELECT name FROM clients").ok(), "Ana Souza\n");
    home.sindico(&["tenant", "usage", "metered"]).fails(1, &["has not been collected", "--now"]);
    let now = home.sindico(&["tenant", "usage", "metered", "--now"]).ok();
    assert!(line(&now, "rows").starts_with("about ") && now.contains("clients"), "{now}");
    let shown = home.json(&["tenant", "usage", "metered"]);
    assert!(shown["requests"]["queries"].as_i64() >= Some(1), "{shown:#}");
    home.sindico(&["tenant", "usage", "metered", "--now"]).ok();
    let series = home.json(&["tenant", "usage", "metered", "--history"]);
    assert_eq!((series.as_array().map(Vec::len), &series[0]["taken_at"]), (Some(2), &shown["taken_at"]));
    let from = text(&series[1], "taken_at");
    let later = home.sindico(&["tenant", "usage", "metered", "--history", "--from", from]).ok();
    assert!(later.contains(from) && later.lines().count() == 2, "{later}");
    home.sindico(&["tenant", "usage", "metered", "--history", "--from", "soon"]).fails(1, &["soon", "RFC 3339"]);
    home.sindico(&["tenant", "delete", "metered", "--yes"]).ok();
}
