//! The ways to say which tenant is meant, and what becomes of those who guess keys.

use std::fs;

use gateway::{Certificates, DialSettings, Dials, GatewaySettings};
use tempfile::TempDir;

use crate::bed::{Bed, Options};
use crate::instance::{Said, psql};
use crate::socket::{Login, Socket, values};

/// Enters with a user name and further parameters, and says who that made it, or the SQLSTATE of the refusal.
async fn enter_as(bed: &Bed, login: &Login, further: &[(&str, &str)]) -> Result<String, String> {
    let mut socket = Socket::open(bed).await;
    socket.send(&login.startup(further)).await;
    socket.prove(&login.key).await?;
    Ok(values(&socket.query("SELECT session_user").await).concat())
}

#[tokio::test]
async fn a_tenant_is_named_by_user_or_by_option_and_never_by_two() {
    let bed = Bed::make().await;
    let (made, other) = (bed.tenant("paws", "shared").await, bed.tenant("claws", "schema").await);
    let (paws, claws) = (Login::of(&made), Login::of(&other));
    let [to_paws, to_claws] = [&made, &other].map(|made| Ok(format!("t_{}", Login::hex(made))));
    let login = |user: &str, of: &Login| Login { user: user.to_owned(), key: of.key.clone(), app: of.app.clone() };
    let tenant = |slug: &'static str| [("sindico.tenant", slug)];
    let refused = |code: &str| Err(code.to_owned());

    for (user, of, further, expected) in [
        ("paws", &paws, &[][..], to_paws.clone()),
        ("till-3.paws", &paws, &[], to_paws.clone()),
        ("a.b.c.paws", &paws, &[], to_paws.clone()),
        (".paws", &paws, &[], to_paws.clone()),
        ("paws.", &paws, &[], refused("28000")),
        ("paws", &paws, &tenant("paws"), to_paws.clone()),
        ("till.paws", &paws, &tenant("paws"), to_paws.clone()),
        ("django", &paws, &tenant("paws"), to_paws.clone()),
        ("django", &claws, &[("options", "-c sindico.tenant=claws")], to_claws.clone()),
        // Two that disagree are refused, whosever key it is.
        ("claws", &paws, &tenant("paws"), refused("28000")),
        ("claws", &claws, &tenant("paws"), refused("28000")),
        ("till.claws", &claws, &tenant("paws"), refused("28000")),
        ("till.nobody", &paws, &tenant("paws"), refused("28000")),
        ("paws", &paws, &[("options", "-c sindico.tenant=paws"), ("sindico.tenant", "claws")], refused("28000")),
        ("paws", &paws, &tenant("nobody"), refused("28000")),
        ("paws", &paws, &tenant(""), refused("28000")),
        // The key belongs to one tenant, however that is named.
        ("django", &paws, &tenant("claws"), refused("28P01")),
        ("paws.claws", &paws, &[], refused("28P01")),
    ] {
        assert_eq!(enter_as(&bed, &login(user, of), further).await, expected, "{user} {further:?}");
    }
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_name_of_the_zone_names_its_tenant() {
    let folder = TempDir::new().expect("a folder");
    let made = rcgen::generate_simple_self_signed(["*.db.example".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    fs::write(&cert, made.cert.pem()).expect("written");
    fs::write(&key, made.signing_key.serialize_pem()).expect("written");
    let zone = "db.example".parse::<gateway::Zone>().expect("a zone").except("gate.db.example");
    let certificates = Certificates::read(cert.clone(), key).expect("a pair");
    let gateway = GatewaySettings { certificates: Some(certificates), zone: Some(zone), ..GatewaySettings::default() };
    let bed = Bed::with(Options { gateway, ..Options::default() }).await;
    let (made, other) = (bed.tenant("paws", "database").await, bed.tenant("claws", "shared").await);
    let (paws, claws) = (Login::of(&made), Login::of(&other));
    let (port, root) = (bed.gateway_port, cert.display());
    let say = |host: &str, user: &str, login: &Login| -> Said {
        let Login { key, app, .. } = login;
        psql(
            &format!(
                "host={host} hostaddr=127.0.0.1 port={port} user={user} password={key} dbname={app} \
                 sslmode=verify-full sslrootcert={root}"
            ),
            "SELECT session_user",
        )
    };
    let to_paws = format!("t_{}\n", Login::hex(&made));
    let to_claws = format!("t_{}\n", Login::hex(&other));
    assert_eq!(say("paws.db.example", "django", &paws).ok(), to_paws);
    assert_eq!(say("PAWS.db.example", "paws", &paws).ok(), to_paws);
    assert_eq!(say("claws.db.example", "django", &claws).ok(), to_claws);
    assert_eq!(say("gate.db.example", "till.paws", &paws).ok(), to_paws, "the gateway's own name is nobody's");
    say("paws.db.example", "claws", &claws).fails(2, &["user name names tenant \"claws\"", "host name", "\"paws\""]);
    say("claws.db.example", "django", &paws).fails(2, &["password authentication failed for tenant \"claws\""]);
    say("nobody.db.example", "paws", &paws).fails(2, &["user name", "nobody"]);
    bed.close().await;
}

#[tokio::test]
async fn who_guesses_keys_has_to_wait_and_nobody_else() {
    let dials = Dials::new(DialSettings { failed_logins: 3, ..DialSettings::default() });
    let gateway = GatewaySettings { dials, ..GatewaySettings::default() };
    let bed = Bed::with(Options { gateway, ..Options::default() }).await;
    let (made, other) = (bed.tenant("paws", "shared").await, bed.tenant("claws", "shared").await);
    let (paws, claws) = (Login::of(&made), Login::of(&other));
    let wrong = Login { user: paws.user.clone(), key: "sk_wrong".to_owned(), app: paws.app.clone() };
    for _ in 0..2 {
        assert_eq!(enter_as(&bed, &wrong, &[]).await, Err("28P01".to_owned()));
    }
    // A right key clears what was counted.
    enter_as(&bed, &paws, &[]).await.expect("in");
    for _ in 0..3 {
        assert_eq!(enter_as(&bed, &wrong, &[]).await, Err("28P01".to_owned()));
    }
    // Nothing is asked any more, so that not even the right key can be told from a wrong one.
    for login in [&wrong, &paws] {
        let mut socket = Socket::open(&bed).await;
        socket.send(&login.startup(&[])).await;
        assert_eq!(socket.last_words().await, "53300");
    }
    enter_as(&bed, &claws, &[]).await.expect("another tenant from the same address");
    let mut elsewhere = Socket::from("127.0.0.2", &bed).await;
    elsewhere.send(&paws.startup(&[])).await;
    elsewhere.prove(&paws.key).await.expect("the same tenant from another address");
    bed.close().await;
}
