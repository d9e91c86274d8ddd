//! `sindico up` is killed while tenants are backed up and restored; the next one finishes what was begun, and nothing else is left.

use std::fs;

use nix::sys::signal::Signal;

use super::crash::{Moments, strangers};
use super::moved;
use crate::instance::{ANY_PORTS, Home, psql, text};

const COUNTED: &str = "SELECT count(*), count(DISTINCT email), sum(id), max(k) FROM clients";

#[test]
fn killed_while_tenants_are_backed_up_and_restored_it_finishes() {
    let mut moments = Moments::new();
    let home = Home::new();
    let words = [&ANY_PORTS[..], &["--warm-pool", "0"]].concat();
    let mut up = home.up(&words);
    let shop = home.shop();
    let mut tenants = Vec::new();
    for isolation in ["shared", "schema", "database"] {
        let slug = format!("paws-{isolation}");
        let made = home.json(&["tenant", "create", &slug, "--isolation", isolation]);
        let dsn = text(&made, "dsn").to_owned();
        let rows = "INSERT INTO clients (name, email) SELECT 'x', n || '@example.org' FROM generate_series(1, 3000) n";
        psql(&dsn, rows).ok();
        let backup = text(&home.json(&["backup", "create", &slug]), "id").to_owned();
        tenants.push((slug, dsn, backup));
    }
    // What is restored has to be migrated on its way.
    fs::write(shop.join("migrations/0100_k.sql"), "ALTER TABLE clients ADD COLUMN k bigserial;").expect("written");
    home.sindico(&["migrate", "apply", shop.to_str().expect("UTF-8")]).ok();
    let whole: Vec<String> = tenants.iter().map(|(_, dsn, _)| psql(&moved(dsn, up.port()), COUNTED).ok()).collect();
    for (round, isolation) in ["schema", "shared", "database"].into_iter().enumerate() {
        let (slug, dsn, backup) = &tenants[round];
        psql(&moved(dsn, up.port()), "DELETE FROM clients WHERE id > 5").ok();
        let again = format!("again-{round}");
        let restored = ["backup", "restore", backup, "--as", &again, "--isolation", isolation, "--no-wait"];
        let begun = [
            text(&home.json(&["backup", "restore", backup, "--in-place", "--yes", "--no-wait"]), "id").to_owned(),
            text(&home.json(&restored), "operation").to_owned(),
            text(&home.json(&["backup", "verify", backup, "--no-wait"]), "id").to_owned(),
            text(&home.json(&["backup", "create", "--app", "petshop", "--no-wait"]), "id").to_owned(),
        ];
        std::thread::sleep(moments.within(2_500));
        up.end(Signal::SIGKILL);
        up = home.up(&words);
        for operation in &begun {
            home.sindico(&["operation", "watch", operation]).ok();
        }
        assert_eq!(psql(&moved(dsn, up.port()), COUNTED).ok(), whole[round], "{slug}");
        let counted = home.sindico(&["tenant", "psql", &again, "--", "-XAtc", COUNTED]).ok();
        assert_eq!(counted, whole[round], "{again}");
        let listed = home.json(&["tenant", "list"]);
        let listed = listed.as_array().expect("a list");
        assert!(listed.iter().all(|tenant| text(tenant, "status") == "active"), "{listed:#?}");
        assert_eq!(strangers(&home, listed), Vec::<String>::new(), "belongs to no tenant");
        home.sindico(&["sweep"]).ok();
    }
    let backups = home.json(&["backup", "list", "--limit", "100"]);
    let backups = backups.as_array().expect("backups");
    assert!(backups.iter().all(|backup| text(backup, "state") == "complete"), "{backups:#?}");
    drop(up);
}
