//! `sindico serve` over a PostgreSQL server that is reached by TLS, or should be and is somebody else.

use std::fs;
use std::time::{Duration, Instant};

use devdb::Scratch;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use tokio_postgres::NoTls;

use super::serve::{Serving, folder};
use crate::bed::{connect, sqlstate};
use crate::instance::{Said, psql, text};

const PATIENCE: Duration = Duration::from_secs(30);

/// A certificate that signs itself, as `openssl req -x509` makes them, and its key.
fn made_for(host: &str) -> (String, String) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new([host.to_owned()]).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

/// Has a server show a certificate from now on, and waits until it does.
fn show(server: &Scratch, (certificate, key): &(String, String)) {
    let dsn = server.dsn("postgres");
    let folder = psql(&dsn, "SHOW data_directory").ok();
    // Written by the server itself, so that the files are its own, and nobody else may read them.
    for (name, pem) in [("server.crt", certificate), ("server.key", key)] {
        let lines = format!("SELECT unnest(string_to_array(trim($pem${pem}$pem$, E'\\n'), E'\\n'))");
        psql(&dsn, &format!("COPY ({lines}) TO PROGRAM $$umask 077; cat > '{}/{name}'$$", folder.trim())).ok();
    }
    psql(&dsn, "ALTER SYSTEM SET ssl = on").ok();
    psql(&dsn, "SELECT pg_reload_conf()").ok();
    let root = tempfile::NamedTempFile::new().expect("a file");
    fs::write(root.path(), certificate).expect("written");
    let until = Instant::now() + PATIENCE;
    while asked(server, &format!("sslmode=verify-ca&sslrootcert={}", root.path().display())).code != Some(0) {
        assert!(Instant::now() < until, "the server does not show its certificate");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn asked(server: &Scratch, settings: &str) -> Said {
    psql(&format!("{}?{settings}", server.dsn("postgres")), "SELECT 1")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_has_to_be_who_its_dsn_says() {
    let server = Scratch::start().await.expect("a server");
    psql(&server.dsn("postgres"), "CREATE DATABASE control").ok();
    let folder = folder(&server.dsn("control"), "");
    let file = |name: &str, content: &str| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("written");
        path.display().to_string()
    };
    let (own, strangers) = (made_for("127.0.0.1"), made_for("127.0.0.1"));
    let (root, other) = (file("root.crt", &own.0), file("other.crt", &strangers.0));
    let serving = Serving::start(folder.path());
    let add = |settings: &str| {
        serving.command(&format!("{}?{settings}", server.dsn("postgres")), &["cluster", "add", "first", "--json"])
    };
    let full = format!("sslmode=verify-full&sslrootcert={root}");

    add(&full).fails(1, &["first"]);
    show(&server, &own);
    add("sslmode=prefer").fails(1, &["sslmode", "verify-full"]);
    add("sslmode=verify-full&sslrootcert=/nowhere/root.crt").fails(1, &["sslrootcert"]);
    add(&format!("sslmode=verify-full&sslrootcert={other}")).fails(1, &["first"]);
    // The certificate is the right one and was made for another name.
    let by_name = server.dsn("postgres").replace("127.0.0.1", "localhost");
    let named = format!("{by_name}?{full}");
    serving.command(&named, &["cluster", "add", "first", "--json"]).fails(1, &["first"]);
    for settings in [format!("{by_name}?sslmode=verify-ca&sslrootcert={root}"), format!("{by_name}?sslmode=require")] {
        serving.command(&settings, &["cluster", "add", "first", "--json"]).ok();
    }
    add(&full).ok();

    let petshop = concat!(env!("CARGO_MANIFEST_DIR"), "/../../apps/petshop");
    serving.command(&by_name, &["app", "add", petshop]).ok();
    let made =
        serving.command(&by_name, &["tenant", "create", "happy-paws", "--isolation", "database", "--json"]).json();
    let dsn = text(&made, "dsn");
    psql(dsn, "SELECT 1").ok();
    let sessions = "SELECT count(*) FILTER (WHERE usename ~ '^t_') > 0, bool_and(ssl)
                    FROM pg_stat_ssl JOIN pg_stat_activity a USING (pid)
                    WHERE datname <> 'control' AND (application_name LIKE 'sindico%' OR usename ~ '^[tr]_')";
    assert_eq!(psql(&server.dsn("postgres"), sessions).ok(), "t|t\n", "the tenant's connections, and síndico's own");

    // A cancel request goes the same way.
    let client = connect(dsn).await.expect("let in");
    let token = client.cancel_token();
    let sleeping = tokio::spawn(async move { sqlstate(&client, "SELECT pg_sleep(600)").await });
    let active = "SELECT count(*) FROM pg_stat_activity WHERE usename ~ '^t_' AND state = 'active'";
    let until = Instant::now() + PATIENCE;
    while psql(&server.dsn("postgres"), active).ok() != "1\n" {
        assert!(Instant::now() < until, "the statement does not begin");
    }
    token.cancel_query(NoTls).await.expect("asked");
    assert_eq!(sleeping.await.expect("an outcome"), "57014");

    // Another server in its place, for which nobody vouches. Other settings at startup mean another connection.
    let anew = |name: &str| psql(&format!("{dsn}?application_name={name}"), "SELECT 1");
    show(&server, &strangers);
    anew("one").fails(2, &["does not prove by TLS"]);
    show(&server, &own);
    assert_eq!(anew("two").ok(), "1\n");

    // Of several servers each has to be the one that its own name says. The first is not, and the second is.
    let at = server.dsn("postgres");
    let address = at.split(['@', '/']).nth(3).expect("host and port");
    let again = |host: &str| {
        let dsn = format!("{}?{full}", at.replace(address, host));
        serving.command(&dsn, &["cluster", "add", "first", "--json"])
    };
    let other_name = address.replace("127.0.0.1", "localhost");
    again(&format!("{other_name},{other_name}")).fails(1, &["first"]);
    again(&format!("{other_name},{address}")).ok();
    assert_eq!(anew("three").ok(), "1\n");
    serving.end();
    server.stop().await.expect("stopped");
}
