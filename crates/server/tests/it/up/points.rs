//! `sindico up` is killed at every step of every other kind of operation, on its way and on its way back. Which steps there are, a run
//! tells that nobody disturbs.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::crash::{copy_pet_shop, strangers};
use super::moved;
use super::steps::{CONTROL, HALT, PATIENCE, Writing, ended, killed_there};
use crate::instance::{ANY_PORTS, Home, psql, text};

/// Kinds that `steps` is about.
const ELSEWHERE: [&str; 3] = ["provision", "remove", "spare"];
const MIGRATIONS: [&str; 3] = ["migrate", "rehearse", "verify"];
const BACKUPS: [&str; 3] = ["backup", "backups", "verify_backup"];
const RESTORES: [&str; 2] = ["restore", "restore_in_place"];
const UPKEEP: [&str; 4] = ["usage", "sweep", "retention", "confirmation"];

#[test]
fn no_kind_of_operation_is_left_out() {
    let tried = [&ELSEWHERE[..], &MIGRATIONS, &BACKUPS, &RESTORES, &UPKEEP].concat();
    assert_eq!(BTreeSet::from_iter(tried), BTreeSet::from(lifecycle::OPERATION_KINDS));
}

/// Tenants of three isolations, each with a backup of what it has.
struct Scene {
    home: Home,
    shop: PathBuf,
    tenants: Vec<Tenant>,
}

struct Tenant {
    slug: String,
    dsn: String,
    backup: String,
}

const WORDS: [&str; 6] = [ANY_PORTS[0], ANY_PORTS[1], ANY_PORTS[2], ANY_PORTS[3], "--warm-pool", "0"];
const COUNTED: &str = "SELECT count(*), sum(id) FROM clients";
/// What each tenant has: a client that the seed has made, and 300 more.
const WHOLE: &str = "301|45451\n";

/// One kind of operation.
trait Play: Sync {
    /// Begins with it and waits for its end, unless síndico dies meanwhile.
    fn begin(&self, scene: &Scene, round: usize);

    /// What has to be true when all is done, or taken back.
    fn holds(&self, scene: &Scene, port: u64, round: usize, done: bool, about: &str);

    /// Whether it is taken back when its end cannot be written down.
    fn gives_up(&self) -> bool {
        true
    }
}

#[test]
fn killed_at_any_step_of_migrations() {
    each(&MIGRATIONS, &[&Migrate, &Rehearse, &Command(&["migrate", "verify"])]);
}

#[test]
fn killed_at_any_step_of_backups() {
    each(
        &BACKUPS,
        &[&Command(&["backup", "create", "paws-schema"]), &Command(&["backup", "create", "--app", "petshop"]), &Trial],
    );
}

#[test]
fn killed_at_any_step_of_restores() {
    each(&RESTORES, &[&Restore, &Replace]);
}

#[test]
fn killed_at_any_step_of_upkeep() {
    each(&UPKEEP, &[&Usage, &Sweep, &Retention, &Letter]);
}

fn each(kinds: &[&str], plays: &[&dyn Play]) {
    assert_eq!(kinds.len(), plays.len(), "none is left out");
    let home = Home::new();
    let first = home.up(&WORDS);
    let shop = home.shop();
    let tenants = ["shared", "schema", "database"].map(|isolation| {
        let slug = format!("paws-{isolation}");
        let dsn = text(&home.json(&["tenant", "create", &slug, "--isolation", isolation]), "dsn").to_owned();
        psql(&dsn, "INSERT INTO clients (name, email) SELECT 'x', n || '@example.org' FROM generate_series(1, 300) n")
            .ok();
        assert_eq!(psql(&dsn, COUNTED).ok(), WHOLE);
        let backup = text(&home.json(&["backup", "create", &slug]), "id").to_owned();
        Tenant { slug, dsn, backup }
    });
    home.superuser("main", CONTROL, HALT);
    first.end(Signal::SIGTERM);
    let scene = Scene { home, shop, tenants: tenants.into() };
    for (kind, play) in kinds.iter().zip(plays) {
        killed_at_each_step(&scene, kind, *play);
    }
}

fn killed_at_each_step(scene: &Scene, kind: &str, play: &dyn Play) {
    let home = &scene.home;
    let mut up = home.up(&WORDS);
    play.begin(scene, 0);
    let undisturbed = ended(home, &newest(home, kind, 1));
    assert_eq!(undisturbed["state"], "succeeded", "{undisturbed:#}");
    play.holds(scene, up.port(), 0, true, kind);
    let steps: Vec<&str> =
        undisturbed["steps"].as_array().expect("steps").iter().map(|step| text(step, "name")).collect();
    let last = *steps.last().expect("a step");
    let forward = steps.iter().map(|step| (*step, "begun")).chain([(last, "done")]);
    let backward = steps.iter().rev().filter(|_| play.gives_up()).map(|step| (*step, "undone"));
    let both = [Writing::Kept, Writing::Lost];
    let forward = forward.flat_map(|point| both.map(|writing| (point, writing)));
    // On its way back one and the other by turns.
    let points = forward.chain(backward.zip(both.into_iter().cycle()));
    for (round, ((step, state), writing)) in (1..).zip(points) {
        let about = format!("{kind} at {step} {state}, {writing:?}");
        let control = |sql: &str| home.superuser("main", CONTROL, sql);
        let undone = state == "undone";
        if undone {
            control(&format!("INSERT INTO public.fail VALUES ('{last}', 'done')"));
        }
        control(&format!("INSERT INTO public.halt VALUES ('{step}', '{state}', '{kind}')"));
        std::thread::scope(|asking| {
            asking.spawn(|| play.begin(scene, round));
            killed_there(home, up, writing, &about);
        });
        up = home.up(&WORDS);
        let ended = ended(home, &newest(home, kind, round + 1));
        assert_eq!(ended["state"], if undone { "failed" } else { "succeeded" }, "{about}: {ended:#}");
        play.holds(scene, up.port(), round, !undone, &about);
        scene.nothing_is_left(&about);
    }
    drop(up);
}

/// The last operation of a kind, when there are so many.
fn newest(home: &Home, kind: &str, count: usize) -> String {
    let sql = format!("SELECT max(id::text) FROM sindico.operations WHERE kind = '{kind}' HAVING count(*) >= {count}");
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(id) = home.superuser("main", CONTROL, &sql).pop() {
            return id;
        }
        assert!(Instant::now() < until, "{kind} is not begun");
        std::thread::sleep(Duration::from_millis(50));
    }
}

impl Scene {
    /// Nothing on the servers that nobody owns, and nothing in the store but whole backups.
    fn nothing_is_left(&self, about: &str) {
        let home = &self.home;
        let listed = home.json(&["tenant", "list"]);
        let listed = listed.as_array().expect("a list");
        assert!(listed.iter().all(|tenant| text(tenant, "status") == "active"), "{about}: {listed:#?}");
        assert_eq!(strangers(home, listed), Vec::<String>::new(), "{about}");
        home.sindico(&["sweep"]).ok();
        let backups = home.json(&["backup", "list", "--limit", "500"]);
        let known: BTreeSet<String> = backups
            .as_array()
            .expect("backups")
            .iter()
            .map(|backup| {
                assert_eq!(text(backup, "state"), "complete", "{about}");
                text(backup, "id").to_owned()
            })
            .collect();
        assert_eq!(self.stored(), known, "{about}");
    }

    /// The backups of which there is anything in the store.
    fn stored(&self) -> BTreeSet<String> {
        let mut folders = vec![self.home.dir().join("backups")];
        for _level in ["app", "tenant", "backup"] {
            folders = folders
                .iter()
                .filter(|folder| !folder.ends_with("backups/archives"))
                .flat_map(|folder| fs::read_dir(folder).into_iter().flatten())
                .map(|entry| entry.expect("an entry").path())
                .collect();
        }
        let whole =
            folders.iter().filter(|folder| fs::read_dir(folder).is_ok_and(|mut objects| objects.next().is_some()));
        whole.map(|folder| folder.file_name().expect("a name").to_str().expect("UTF-8").to_owned()).collect()
    }

    fn tenant(&self, round: usize) -> &Tenant {
        &self.tenants[round % self.tenants.len()]
    }
}

/// What changes nothing but what [`Scene::nothing_is_left`] looks at.
struct Command(&'static [&'static str]);

impl Play for Command {
    fn begin(&self, scene: &Scene, _: usize) {
        scene.home.sindico(self.0);
    }

    fn holds(&self, scene: &Scene, port: u64, _: usize, _: bool, about: &str) {
        for tenant in &scene.tenants {
            assert_eq!(psql(&moved(&tenant.dsn, port), COUNTED).ok(), WHOLE, "{about}");
        }
    }
}

struct Trial;

impl Play for Trial {
    fn begin(&self, scene: &Scene, round: usize) {
        scene.home.sindico(&["backup", "verify", &scene.tenant(round).backup]);
    }

    fn holds(&self, _: &Scene, _: u64, _: usize, _: bool, _: &str) {}
}

/// Every migration reaches every tenant once. What was taken back is gone on with when somebody asks again.
struct Migrate;

impl Migrate {
    fn apply(scene: &Scene) -> crate::instance::Said {
        scene.home.sindico(&["migrate", "apply", scene.shop.to_str().expect("UTF-8")])
    }
}

impl Play for Migrate {
    fn begin(&self, scene: &Scene, round: usize) {
        let sql = format!(
            "CREATE TABLE r{round} (id bigserial PRIMARY KEY, client_id bigint REFERENCES clients);
             ALTER TABLE species ADD COLUMN g{round} int; INSERT INTO r{round} (client_id) SELECT min(id) FROM clients;"
        );
        fs::write(scene.shop.join(format!("migrations/1{round:03}_r.sql")), sql).expect("written");
        Self::apply(scene);
    }

    fn holds(&self, scene: &Scene, port: u64, round: usize, done: bool, about: &str) {
        if !done {
            Self::apply(scene).ok();
        }
        for tenant in &scene.tenants {
            let counted = format!("SELECT count(*), max(id) FROM r{round}");
            assert_eq!(psql(&moved(&tenant.dsn, port), &counted).ok(), "1|1\n", "{about}");
            assert_eq!(psql(&moved(&tenant.dsn, port), COUNTED).ok(), WHOLE, "{about}");
        }
    }
}

/// Tries one more migration, which nobody gets.
struct Rehearse;

impl Rehearse {
    fn rehearse(scene: &Scene) -> crate::instance::Said {
        scene.home.sindico(&["migrate", "rehearse", scene.shop.to_str().expect("UTF-8")])
    }
}

impl Play for Rehearse {
    fn begin(&self, scene: &Scene, round: usize) {
        let path = scene.shop.join(format!("migrations/2{round:03}_n.sql"));
        fs::write(path, format!("CREATE TABLE n{round} (id bigserial PRIMARY KEY)")).expect("written");
        Self::rehearse(scene);
    }

    fn holds(&self, scene: &Scene, port: u64, round: usize, done: bool, about: &str) {
        if done {
            assert!(Self::rehearse(scene).ok().contains("have been rehearsed"), "{about}");
        } else {
            Self::rehearse(scene).ok();
        }
        for tenant in &scene.tenants {
            let there = format!("SELECT to_regclass('n{round}') IS NULL");
            assert_eq!(psql(&moved(&tenant.dsn, port), &there).ok(), "t\n", "{about}");
        }
        Command(&[]).holds(scene, port, 0, true, about);
    }
}

struct Restore;

impl Play for Restore {
    fn begin(&self, scene: &Scene, round: usize) {
        let isolation = ["schema", "database", "shared"][round % 3];
        let again = format!("again-{round}");
        scene.home.sindico(&[
            "backup",
            "restore",
            &scene.tenant(round).backup,
            "--as",
            &again,
            "--isolation",
            isolation,
        ]);
    }

    fn holds(&self, scene: &Scene, _: u64, round: usize, done: bool, about: &str) {
        let again = format!("again-{round}");
        if done {
            let counted = scene.home.sindico(&["tenant", "psql", &again, "--", "-XAtc", COUNTED]).ok();
            assert_eq!(counted, WHOLE, "{about}");
        } else {
            scene.home.sindico(&["tenant", "show", &again]).fails(1, &["there is no tenant"]);
        }
    }
}

/// Rows come back all of them, or the tenant keeps those that it has.
struct Replace;

impl Play for Replace {
    fn begin(&self, scene: &Scene, round: usize) {
        let Tenant { slug, backup, .. } = scene.tenant(round);
        scene.home.sindico(&["tenant", "psql", slug, "--", "-XAtc", "DELETE FROM clients WHERE id > 5"]).ok();
        scene.home.sindico(&["backup", "restore", backup, "--in-place", "--yes"]);
    }

    fn holds(&self, scene: &Scene, port: u64, round: usize, done: bool, about: &str) {
        let expected = if done { WHOLE } else { "5|15\n" };
        assert_eq!(psql(&moved(&scene.tenant(round).dsn, port), COUNTED).ok(), expected, "{about}");
    }
}

/// It begins by itself.
struct Usage;

impl Play for Usage {
    fn begin(&self, scene: &Scene, _: usize) {
        let now = "UPDATE sindico.schedules SET next_at = clock_timestamp() WHERE kind = 'usage'";
        assert_eq!(scene.home.superuser("main", CONTROL, now), ["UPDATE 1"]);
    }

    fn holds(&self, scene: &Scene, port: u64, _: usize, _: bool, about: &str) {
        Command(&[]).holds(scene, port, 0, true, about);
    }
}

/// What nobody owns goes; if that was taken back, it goes when somebody asks again.
struct Sweep;

const ORPHAN: &str = "t_0123456789abcdef0123456789abcdef";

impl Play for Sweep {
    fn begin(&self, scene: &Scene, _: usize) {
        scene.home.superuser("main", "app_petshop", &format!("CREATE SCHEMA {ORPHAN} CREATE TABLE clients ()"));
        scene.home.sindico(&["sweep", "--remove", "--yes"]);
    }

    fn holds(&self, scene: &Scene, port: u64, _: usize, done: bool, about: &str) {
        if !done {
            scene.home.sindico(&["sweep", "--remove", "--yes"]).ok();
        }
        let left = format!("SELECT nspname FROM pg_namespace WHERE nspname = '{ORPHAN}'");
        assert_eq!(scene.home.superuser("main", "app_petshop", &left), Vec::<String>::new(), "{about}");
        Command(&[]).holds(scene, port, 0, true, about);
    }
}

/// Old rows go and young ones stay.
struct Retention;

impl Play for Retention {
    fn begin(&self, scene: &Scene, round: usize) {
        let home = &scene.home;
        if round == 0 {
            let folder = home.desk().join("second");
            copy_pet_shop(&folder);
            let rule = "name = \"second\"\n[retention.clients]\ncolumn = 'created_at'\nkeep = '30 days'\narchive = 'forever'\n";
            fs::write(folder.join("app.toml"), rule).expect("written");
            home.sindico(&["app", "add", folder.to_str().expect("UTF-8")]).ok();
            for isolation in ["shared", "schema", "database"] {
                home.json(&[
                    "tenant",
                    "create",
                    &format!("old-{isolation}"),
                    "--app",
                    "second",
                    "--isolation",
                    isolation,
                ]);
            }
        }
        for isolation in ["shared", "schema", "database"] {
            let aged = "INSERT INTO clients (name, email, created_at)
                SELECT 'old', gen_random_uuid() || '@example.org', now() - interval '40 days' FROM generate_series(1, 50)";
            home.sindico(&["tenant", "psql", &format!("old-{isolation}"), "--", "-XAtc", aged]).ok();
        }
        home.sindico(&["retention", "run", "second"]);
    }

    fn holds(&self, scene: &Scene, _: u64, round: usize, done: bool, about: &str) {
        if !done {
            scene.home.sindico(&["retention", "run", "second"]).ok();
        }
        for isolation in ["shared", "schema", "database"] {
            let slug = format!("old-{isolation}");
            let archives = scene.home.json(&["archive", "list", "--tenant", &slug, "--limit", "1000"]);
            let archives = archives.as_array().expect("archives");
            assert!(archives.iter().all(|it| text(it, "state") != "writing"), "{about}: {archives:#?}");
            let kept = archives.iter().filter(|it| text(it, "state") == "kept");
            let rows: i64 = kept.filter_map(|it| it["rows"].as_i64()).sum();
            assert_eq!(rows, 50 * i64::try_from(round + 1).expect("few"), "{about}: {archives:#?}");
            let counted = "SELECT count(*) FILTER (WHERE name = 'old'), count(*) FROM clients";
            let counted =
                scene.home.sindico(&["tenant", "psql", &format!("old-{isolation}"), "--", "-XAtc", counted]).ok();
            assert_eq!(counted, "0|1\n", "{about}");
        }
    }
}

/// One letter goes, however often it is sent.
struct Letter;

impl Play for Letter {
    fn begin(&self, scene: &Scene, round: usize) {
        let slug = format!("letter-{round}");
        let admin = ["--admin", "ana@example.org", "--admin-name", &slug];
        scene.home.sindico(&[&["tenant", "create", &slug, "--app", "petshop"][..], &admin].concat());
    }

    fn holds(&self, scene: &Scene, _: u64, round: usize, _: bool, about: &str) {
        let letters = fs::read_dir(scene.home.dir().join("mail")).expect("letters");
        let letters: Vec<String> =
            letters.map(|it| fs::read_to_string(it.expect("a file").path()).expect("text")).collect();
        let to = |round: usize| letters.iter().filter(|it| it.contains(&format!("To: letter-{round} <"))).count();
        assert_eq!(to(round), 1, "{about}: {letters:#?}");
        let members = scene.home.json(&["tenant", "member", "list", &format!("letter-{round}")]);
        assert!(members[0]["asked_at"].is_string() && members[0]["confirmed_at"].is_null(), "{about}: {members:#}");
    }

    fn gives_up(&self) -> bool {
        false
    }
}
