//! `sindico up` is killed, at rest and at work; the next one finds everything as before or as after.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::sys::signal::Signal;

use super::{ALL, moved};
use crate::instance::{ANY_PORTS, Home, psql, text};

/// How soon after a start nothing unfinished may be left. What the dead síndico had begun on a server may still be
/// running there, and only when that has ended can it be undone; the next look after that is 30 s later.
const RECOVERED: Duration = Duration::from_secs(45);

/// A tenant whose creation was answered, with a row of its own.
#[derive(Debug, Clone)]
struct Known {
    slug: String,
    dsn: String,
}

/// Moments that look arbitrary and come again with the same seed.
pub(super) struct Moments(u64);

impl Moments {
    /// `SINDICO_TEST_SEED` repeats a run; nextest shows the seed of one that failed.
    pub(super) fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").subsec_nanos();
        let given = std::env::var("SINDICO_TEST_SEED").ok();
        let seed = given.map_or(u64::from(now), |seed| seed.parse().expect("SINDICO_TEST_SEED is a number"));
        println!("SINDICO_TEST_SEED={seed}");
        Self(seed)
    }

    /// A moment within so many milliseconds, by the generator `SplitMix64`.
    pub(super) fn within(&mut self, millis: u64) -> Duration {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        Duration::from_micros(mixed % (1000 * millis))
    }
}

#[test]
fn killed_at_rest_it_comes_back_with_everything() {
    let home = Home::new();
    let up = home.up(&ANY_PORTS);
    let made = ALL.map(|isolation| {
        let made = home.json(&["tenant", "create", &format!("hard-{isolation}"), "--isolation", isolation]);
        let dsn = text(&made, "dsn").to_owned();
        psql(&dsn, "INSERT INTO clients (name, email) VALUES ('Bia', 'bia@example.org')").ok();
        dsn
    });
    let before = home.json(&["tenant", "list"]);
    up.end(Signal::SIGKILL);
    assert_eq!(home.postmasters().len(), 2, "the servers outlive it");
    home.sindico(&["tenant", "list"]).fails(1, &["does not answer", "sindico up"]);

    let up = home.up(&ANY_PORTS);
    let servers: Vec<String> = home.postmasters().into_iter().map(|(name, _)| name).collect();
    assert_eq!(servers, ["dedicated", "main"], "one pair, whether taken over or replaced");
    assert_eq!(home.json(&["tenant", "list"]), before);
    for dsn in &made {
        assert_eq!(psql(&moved(dsn, up.port()), "SELECT name FROM clients ORDER BY id").ok(), "Ana Souza\nBia\n");
    }
    drop(up);
}

#[test]
fn killed_while_it_starts_for_the_first_time_it_starts_the_next_time() {
    let mut moments = Moments::new();
    let home = Home::new();
    for _ in 0..4 {
        let mut child = home.spawn(&ANY_PORTS);
        let after = moments.within(5_000);
        println!("killed after {after:?}");
        std::thread::sleep(after);
        child.kill().expect("killed");
        child.wait().expect("reaped");
    }
    let up = home.up(&ANY_PORTS);
    assert_eq!(strangers(&home, &[]), Vec::<String>::new(), "left by a trial of the app");
    for isolation in ALL {
        let made = home.json(&["tenant", "create", &format!("late-{isolation}"), "--isolation", isolation]);
        assert_eq!(psql(text(&made, "dsn"), "SELECT name FROM clients").ok(), "Ana Souza\n", "{isolation}");
    }
    assert_eq!(home.postmasters().len(), 2);
    drop(up);
}

/// An app is tried with tenants that no record knows; whoever dies in the middle of it leaves nobody who would ask for
/// them.
#[test]
fn killed_while_an_app_is_tried_it_leaves_nothing_of_the_trial() {
    let home = Home::new();
    let folder = home.desk().join("second");
    copy_pet_shop(&folder);
    let path = folder.to_str().expect("UTF-8");
    for sign in [
        "SELECT count(*) FROM pg_database WHERE datname = 'building_app_second'",
        "SELECT count(*) FROM pg_roles WHERE rolname ~ '^t_[0-9a-f]{32}$'",
        "SELECT count(*) FROM pg_database WHERE datname ~ '_[0-9a-f]{32}$'",
    ] {
        let up = home.up(&ANY_PORTS);
        let before = home.superuser("main", "postgres", sign);
        std::thread::scope(|scope| {
            let adding = scope.spawn(|| home.sindico(&["app", "add", path]));
            while home.superuser("main", "postgres", sign) == before {
                assert!(!adding.is_finished(), "the sign never came: {sign}");
            }
            up.end(Signal::SIGKILL);
        });
    }
    let up = home.up(&ANY_PORTS);
    assert_eq!(home.json(&["app", "add", path])["ready"], true);
    home.sindico(&["sweep"]).ok();
    assert_eq!(strangers(&home, &[]), Vec::<String>::new(), "left by a trial of the app");
    let made = home.json(&["tenant", "create", "late", "--app", "second", "--isolation", "database"]);
    assert_eq!(psql(text(&made, "dsn"), "SELECT name FROM clients").ok(), "Ana Souza\n");
    drop(up);
}

/// The pet shop as an app that nobody knows yet.
pub(super) fn copy_pet_shop(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps/petshop");
    for part in ["migrations", "seed"] {
        fs::create_dir_all(to.join(part)).expect("made");
        for file in fs::read_dir(from.join(part)).expect("the pet shop") {
            let file = file.expect("a file");
            fs::copy(file.path(), to.join(part).join(file.file_name())).expect("copied");
        }
    }
    fs::write(to.join("app.toml"), "name = \"second\"\n").expect("written");
}

#[test]
fn killed_at_work_it_leaves_no_half_tenant() {
    let mut moments = Moments::new();
    let home = Home::new();
    let (known, deleted) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let count = AtomicUsize::new(0);
    for round in 0..5 {
        let up = home.up(&ANY_PORTS);
        if round > 0 {
            settled(&home);
            verify(&home, up.port(), &known.lock().expect("not poisoned"), &deleted.lock().expect("not poisoned"));
        }
        let killed = AtomicBool::new(false);
        let after = moments.within(1_000);
        println!("round {round}: killed {after:?} after the first tenant");
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    while !killed.load(Ordering::Relaxed) {
                        come_and_go(&home, count.fetch_add(1, Ordering::Relaxed), &killed, &known, &deleted);
                    }
                });
            }
            let made = || known.lock().expect("not poisoned").len();
            let (before, until) = (made(), Instant::now() + RECOVERED);
            while made() == before && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(10));
            }
            std::thread::sleep(after);
            killed.store(true, Ordering::Relaxed);
            up.end(Signal::SIGKILL);
        });
    }
    let up = home.up(&ANY_PORTS);
    settled(&home);
    let (known, deleted) = (known.into_inner().expect("not poisoned"), deleted.into_inner().expect("not poisoned"));
    verify(&home, up.port(), &known, &deleted);
    println!("{} tenants tried, {} kept, {} deleted", count.into_inner(), known.len(), deleted.len());
    assert!(known.len() >= 5, "too few tenants were made for this to mean anything");
    drop(up);
}

/// Makes a tenant with a row of its own; every third one is deleted at once. What the kill left without an answer is
/// neither known nor deleted.
fn come_and_go(
    home: &Home,
    number: usize,
    killed: &AtomicBool,
    known: &Mutex<Vec<Known>>,
    deleted: &Mutex<Vec<String>>,
) {
    let (slug, isolation) = (format!("busy-{number}"), ALL[number % ALL.len()]);
    let said = home.sindico(&["tenant", "create", &slug, "--isolation", isolation, "--json"]);
    if said.code != Some(0) {
        assert!(killed.load(Ordering::Relaxed), "a creation failed although nothing was killed: {}", said.err);
        return;
    }
    let dsn = text(&said.json(), "dsn").to_owned();
    let insert = format!("INSERT INTO clients (name, email) VALUES ('{slug}', 'x@example.org')");
    let inserted = psql(&dsn, &insert).code == Some(0);
    if number % 3 == 2 {
        if home.sindico(&["tenant", "delete", &slug, "--yes"]).code == Some(0) {
            deleted.lock().expect("not poisoned").push(slug);
        }
        return;
    }
    if inserted {
        known.lock().expect("not poisoned").push(Known { slug, dsn });
    }
}

/// Waits until no tenant is half made or half removed.
fn settled(home: &Home) {
    let until = Instant::now() + RECOVERED;
    let started = Instant::now();
    loop {
        let all = home.json(&["tenant", "list"]);
        let unfinished = |status: &str| ["provisioning", "deleting"].contains(&status);
        let left: Vec<_> =
            all.as_array().expect("a list").iter().filter(|tenant| unfinished(text(tenant, "status"))).collect();
        if left.is_empty() {
            // Spares are not listed.
            let undone = "SELECT id::text FROM sindico.operations WHERE state IN ('undoing') OR kind = 'remove' AND ended_at IS NULL";
            if home.superuser("main", "sindico", undone).is_empty() {
                println!("settled after {:?}", started.elapsed());
                return;
            }
        }
        assert!(Instant::now() < until, "still unfinished after {RECOVERED:?}: {left:#?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// Everything that was answered holds, and the servers hold nothing else.
fn verify(home: &Home, port: u64, known: &[Known], deleted: &[String]) {
    let listed = home.json(&["tenant", "list"]);
    let listed = listed.as_array().expect("a list");
    let slugs: BTreeSet<&str> = listed.iter().map(|tenant| text(tenant, "slug")).collect();
    for Known { slug, dsn } in known {
        assert!(slugs.contains(slug.as_str()), "{slug} was made and is gone");
        let names = psql(&moved(dsn, port), "SELECT name FROM clients ORDER BY id").ok();
        assert_eq!(names, format!("Ana Souza\n{slug}\n"));
    }
    for slug in deleted {
        assert!(!slugs.contains(slug.as_str()), "{slug} was deleted and is back");
    }
    // Made, but the answer was lost: it works all the same.
    for slug in slugs.iter().filter(|slug| known.iter().all(|known| known.slug != **slug)) {
        let names = home.sindico(&["tenant", "psql", slug, "--", "-XAtc", "SELECT name FROM clients ORDER BY id"]).ok();
        assert!(names.starts_with("Ana Souza\n"), "{slug}: {names}");
    }
    assert_eq!(strangers(home, listed), Vec::<String>::new(), "belongs to no tenant");
    home.sindico(&["sweep"]).ok();
    assert_eq!(home.postmasters().len(), 2);
}

/// Roles, databases, schemas and shared rows that carry the id of no listed tenant, and of no spare.
pub(super) fn strangers(home: &Home, listed: &[serde_json::Value]) -> Vec<String> {
    let mut ids: BTreeSet<String> = listed.iter().map(|tenant| text(tenant, "id").replace('-', "")).collect();
    let mut found = Vec::new();
    for cluster in ["main", "dedicated"] {
        let named = "SELECT rolname FROM pg_roles WHERE rolname ~ '^[tr]_[0-9a-f]{32}$'
                     UNION ALL SELECT datname FROM pg_database WHERE datname ~ '_[0-9a-f]{32}$'";
        found.extend(home.superuser(cluster, "postgres", named).into_iter().map(|name| format!("{cluster} {name}")));
    }
    let shared = "SELECT datname FROM pg_database WHERE datname ~ '^app_[a-z]+$'";
    for database in home.superuser("main", "postgres", shared) {
        let inside = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^t_[0-9a-f]{32}$'
                      UNION SELECT 'rows of _' || replace(tenant_id::text, '-', '') FROM clients";
        found.extend(home.superuser("main", &database, inside).into_iter().map(|name| format!("{database} {name}")));
    }
    // Asked last: whatever is there of one was made after this was written down.
    let spares = "SELECT replace(id::text, '-', '') FROM sindico.tenants WHERE spare_release IS NOT NULL";
    ids.extend(home.superuser("main", "sindico", spares));
    found.retain(|name| !name.rsplit_once('_').is_some_and(|(_, id)| ids.contains(id)));
    found
}

#[test]
fn killed_while_tenants_are_migrated_each_of_them_gets_every_migration_once() {
    let mut moments = Moments::new();
    let home = Home::new();
    let mut up = home.up(&ANY_PORTS);
    let shop = home.shop();
    let folder = shop.to_str().expect("UTF-8");
    let mut dsns: Vec<String> = Vec::new();
    for (nth, isolation) in
        ["shared", "shared", "schema", "schema", "schema", "schema", "database"].into_iter().enumerate()
    {
        let made = home.json(&["tenant", "create", &format!("paws-{nth}"), "--isolation", isolation]);
        dsns.push(text(&made, "dsn").to_owned());
    }
    for round in 0..4 {
        let tables = format!(
            "CREATE TABLE r{round} (id bigserial PRIMARY KEY, client_id bigint REFERENCES clients);
             ALTER TABLE clients ADD COLUMN k{round} bigserial; INSERT INTO r{round} (client_id) SELECT id FROM clients;
             ALTER TABLE species ADD COLUMN g{round} int;"
        );
        let rows = format!("INSERT INTO r{round} (client_id) SELECT id FROM clients;");
        for (part, sql) in [("a", tables), ("b", rows)] {
            fs::write(shop.join(format!("migrations/01{round}_{part}.sql")), sql).expect("written");
        }
        let begun = home.json(&["migrate", "apply", folder, "--no-wait"]);
        std::thread::sleep(moments.within(5_000));
        up.end(Signal::SIGKILL);
        up = home.up(&ANY_PORTS);
        home.sindico(&["operation", "watch", text(&begun, "id")]).ok();
        for dsn in &dsns {
            let counted = format!("SELECT count(*), (SELECT max(k{round}) FROM clients) FROM r{round}");
            assert_eq!(psql(&moved(dsn, up.port()), &counted).ok(), "2|1\n", "round {round}");
        }
    }
    home.sindico(&["migrate", "verify"]).ok();
    drop(up);
}
