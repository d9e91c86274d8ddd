//! `sindico up` is killed at each step of making, of undoing and of removing a tenant: after the step was written down and before
//! anything was done of it, and after it was done and before that was written down.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use super::{ALL, moved};
use crate::instance::{ANY_PORTS, Home, Up, psql, text};
use crate::up::crash::strangers;

/// Whoever writes into the journal what `halt` holds waits while it does; what `fail` holds cannot be written.
pub(super) const HALT: &str = "
    CREATE TABLE public.halt (step text, state text, kind text);
    CREATE TABLE public.fail (step text, state text);
    CREATE FUNCTION public.halt() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM public.fail f WHERE f.step = NEW.name AND f.state = NEW.state) THEN
            RAISE EXCEPTION 'no luck';
        END IF;
        WHILE EXISTS (SELECT FROM public.halt h JOIN sindico.operations o ON o.id = NEW.operation
                      WHERE h.step = NEW.name AND h.state = NEW.state AND h.kind = o.kind) LOOP
            PERFORM pg_sleep(0.02);
        END LOOP;
        RETURN NEW;
    END $$;
    CREATE TRIGGER halt BEFORE INSERT OR UPDATE ON sindico.operation_steps FOR EACH ROW EXECUTE FUNCTION public.halt()";

pub(super) const CONTROL: &str = "sindico";
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of what the dead síndico was writing.
#[derive(Debug, Clone, Copy)]
pub(super) enum Writing {
    /// It is in the journal; nothing has been done of it.
    Kept,
    /// It is not, and what went before it has been done.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Making,
    Undoing,
    Removing,
}

const POINTS: [(Doing, &str, &str); 14] = [
    (Doing::Making, "reserve", "begun"),
    (Doing::Making, "roles", "begun"),
    (Doing::Making, "storage", "begun"),
    (Doing::Making, "open", "begun"),
    (Doing::Making, "open", "done"),
    (Doing::Undoing, "storage", "undone"),
    (Doing::Undoing, "roles", "undone"),
    (Doing::Undoing, "reserve", "undone"),
    (Doing::Removing, "close", "begun"),
    (Doing::Removing, "evict", "begun"),
    (Doing::Removing, "storage", "begun"),
    (Doing::Removing, "roles", "begun"),
    (Doing::Removing, "forget", "begun"),
    (Doing::Removing, "forget", "done"),
];

#[test]
fn killed_at_any_step_an_operation_is_finished() {
    let home = Home::new();
    let words = [&ANY_PORTS[..], &["--warm-pool", "0"]].concat();
    let mut up = home.up(&words);
    let control = |sql: &str| home.superuser("main", CONTROL, sql);
    control(HALT);
    let points = POINTS.into_iter().flat_map(|point| [Writing::Kept, Writing::Lost].map(|writing| (point, writing)));
    for (number, ((doing, step, state), writing)) in points.enumerate() {
        let (slug, isolation) = (format!("t-{number}"), ALL[number % ALL.len()]);
        let about = format!("{doing:?} at {step} {state}, {writing:?}, {isolation}");
        if doing == Doing::Removing {
            home.json(&["tenant", "create", &slug, "--isolation", isolation]);
        }
        if doing == Doing::Undoing {
            control("INSERT INTO public.fail VALUES ('open', 'begun')");
        }
        let kind = if doing == Doing::Removing { "remove" } else { "provision" };
        control(&format!("INSERT INTO public.halt VALUES ('{step}', '{state}', '{kind}')"));
        let begun = if doing == Doing::Removing {
            home.json(&["tenant", "delete", &slug, "--yes", "--no-wait"])
        } else {
            home.json(&["tenant", "create", &slug, "--isolation", isolation, "--no-wait"])
        };
        killed_there(&home, up, writing, &about);
        up = home.up(&words);
        let ended = ended(&home, text(&begun, if doing == Doing::Removing { "id" } else { "operation" }));
        let expected = if doing == Doing::Undoing { "failed" } else { "succeeded" };
        assert_eq!(ended["state"], expected, "{about}: {ended:#}");
        if doing == Doing::Making {
            let dsn = moved(text(&begun, "dsn"), up.port());
            assert_eq!(psql(&dsn, "SELECT name FROM clients").ok(), "Ana Souza\n", "{about}");
        } else {
            home.sindico(&["tenant", "show", &slug]).fails(1, &["there is no tenant"]);
        }
        let listed = home.json(&["tenant", "list"]);
        assert_eq!(strangers(&home, listed.as_array().expect("a list")), Vec::<String>::new(), "{about}");
    }
    drop(up);
}

/// The same while tenants are made that nobody has asked for, and while somebody becomes one.
#[test]
fn killed_while_a_spare_is_made_or_taken_nobody_misses_anything() {
    const POINTS: [(&str, &str, &str); 5] = [
        ("spare", "roles", "begun"),
        ("spare", "storage", "begun"),
        ("spare", "open", "begun"),
        ("spare", "open", "done"),
        ("provision", "spare", "done"),
    ];
    let home = Home::new();
    let words = [&ANY_PORTS[..], &["--warm-pool", "1"]].concat();
    let mut up = home.up(&words);
    home.superuser("main", CONTROL, HALT);
    for isolation in &ALL[..3] {
        home.json(&["tenant", "create", &format!("first-{isolation}"), "--isolation", isolation]);
    }
    let points = POINTS.into_iter().flat_map(|point| [Writing::Kept, Writing::Lost].map(|writing| (point, writing)));
    for (number, ((kind, step, state), writing)) in points.enumerate() {
        let (slug, isolation) = (format!("t-{number}"), ALL[number % 3]);
        let about = format!("{kind} at {step} {state}, {writing:?}, {isolation}");
        filled(&home, &about);
        home.superuser("main", CONTROL, &format!("INSERT INTO public.halt VALUES ('{step}', '{state}', '{kind}')"));
        let create = ["tenant", "create", &slug, "--isolation", isolation];
        if kind == "spare" {
            // Becomes the one that there is, so that another is made.
            home.json(&create);
            killed_there(&home, up, writing, &about);
        } else {
            std::thread::scope(|asking| {
                asking.spawn(|| home.sindico(&create));
                killed_there(&home, up, writing, &about);
            });
        }
        up = home.up(&words);
        if kind == "provision" {
            // What was not answered has not happened.
            home.sindico(&["tenant", "show", &slug]).fails(1, &["there is no tenant"]);
            home.json(&create);
        }
        let shown = home.sindico(&["tenant", "psql", &slug, "--", "-XAtc", "SELECT name FROM clients"]).ok();
        assert_eq!(shown, "Ana Souza\n", "{about}");
        filled(&home, &about);
        let listed = home.json(&["tenant", "list"]);
        let listed = listed.as_array().expect("a list");
        assert_eq!(strangers(&home, listed), Vec::<String>::new(), "{about}");
        assert_eq!(listed.len(), 4 + number, "{about}");
        home.sindico(&["sweep"]).ok();
    }
    drop(up);
}

/// Waits until a tenant of each isolation can be had at once, and nobody is at work on anything.
fn filled(home: &Home, about: &str) {
    let ready = "SELECT 1 FROM sindico.tenants WHERE status = 'spare' HAVING count(*) = 3
                     AND NOT EXISTS (SELECT FROM sindico.operations WHERE ended_at IS NULL)";
    let until = Instant::now() + PATIENCE;
    while home.superuser("main", CONTROL, ready).is_empty() {
        assert!(Instant::now() < until, "{about}: there are no spares");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Kills it when it has come to where it halts, and lets what it was writing be kept or lost.
pub(super) fn killed_there(home: &Home, up: Up<'_>, writing: Writing, about: &str) {
    let control = |sql: &str| home.superuser("main", CONTROL, sql);
    let halted = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    let until = Instant::now() + PATIENCE;
    while control(halted).is_empty() {
        assert!(Instant::now() < until, "{about}: it does not come there");
    }
    up.end(Signal::SIGKILL);
    if let Writing::Lost = writing {
        control(&format!("SELECT pg_terminate_backend(pid, 5000) FROM ({halted}) halted"));
    }
    control("DELETE FROM public.halt");
    control("DELETE FROM public.fail");
    // What waited is written, and then it is as if the lease of the dead were over.
    while !control(halted).is_empty() {}
    control("UPDATE sindico.operations SET leased_until = clock_timestamp() WHERE ended_at IS NULL");
}

pub(super) fn ended(home: &Home, operation: &str) -> Value {
    let until = Instant::now() + PATIENCE;
    loop {
        let shown = home.json(&["operation", "show", operation]);
        if !shown["ended_at"].is_null() {
            return shown;
        }
        assert!(Instant::now() < until, "it does not end: {shown:#}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
