//! `sindico up` is killed at each step of making and of removing a tenant: after the step was written down and before anything was
//! done of it, and after it was done and before that was written down.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{ALL, moved};
use crate::instance::{ANY_PORTS, Home, psql, text};
use crate::up::crash::strangers;

/// Whoever writes into the journal what `halt` holds waits while it does.
const HALT: &str = "
    CREATE TABLE public.halt (step text, state text);
    CREATE FUNCTION public.halt() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        WHILE EXISTS (SELECT FROM public.halt h WHERE h.step = NEW.name AND h.state = NEW.state) LOOP
            PERFORM pg_sleep(0.02);
        END LOOP;
        RETURN NEW;
    END $$;
    CREATE TRIGGER halt BEFORE INSERT OR UPDATE ON sindico.operation_steps FOR EACH ROW EXECUTE FUNCTION public.halt()";

const CONTROL: &str = "sindico";
const PATIENCE: Duration = Duration::from_secs(30);

/// What becomes of what the dead síndico was writing.
#[derive(Debug, Clone, Copy)]
enum Writing {
    /// It is in the journal; nothing has been done of it.
    Kept,
    /// It is not, and what went before it has been done.
    Lost,
}

#[test]
fn killed_at_any_step_an_operation_is_finished() {
    let home = Home::new();
    let mut up = home.up(&ANY_PORTS);
    let control = |sql: &str| home.superuser("main", CONTROL, sql);
    control(HALT);
    let making = [("reserve", "begun"), ("roles", "begun"), ("storage", "begun"), ("open", "begun"), ("open", "done")];
    let removing = [
        ("close", "begun"),
        ("evict", "begun"),
        ("storage", "begun"),
        ("roles", "begun"),
        ("forget", "begun"),
        ("forget", "done"),
    ];
    let points = making.map(|point| (true, point)).into_iter().chain(removing.map(|point| (false, point)));
    let points = points.flat_map(|point| [Writing::Kept, Writing::Lost].map(|writing| (point, writing)));
    for (number, ((makes, (step, state)), writing)) in points.enumerate() {
        let (slug, isolation) = (format!("t-{number}"), ALL[number % ALL.len()]);
        let about =
            format!("{isolation}, {} at {step} {state}, {writing:?}", if makes { "making" } else { "removing" });
        if !makes {
            home.json(&["tenant", "create", &slug, "--isolation", isolation]);
        }
        control(&format!("INSERT INTO public.halt VALUES ('{step}', '{state}')"));
        let begun = if makes {
            home.json(&["tenant", "create", &slug, "--isolation", isolation, "--no-wait"])
        } else {
            home.json(&["tenant", "delete", &slug, "--yes", "--no-wait"])
        };
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
        // As if the lease of the dead were over.
        std::thread::sleep(Duration::from_millis(50));
        control("UPDATE sindico.operations SET leased_until = clock_timestamp() WHERE ended_at IS NULL");

        up = home.up(&ANY_PORTS);
        let operation = text(&begun, if makes { "operation" } else { "id" });
        let ended = home.json(&["operation", "watch", operation]);
        assert_eq!(ended["state"], "succeeded", "{about}: {ended:#}");
        if makes {
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
