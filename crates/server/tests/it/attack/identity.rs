//! Becoming somebody else, or doing something to the roles by which tenants are known.

use crate::bed::{Bed, connect, dsn, enter, refusal, rows, sqlstate};
use crate::socket::{Login, Socket};

const ALL: [&str; 4] = ["shared", "schema", "database", "cluster"];

/// Up to PostgreSQL 15 a role may grant membership in itself: the victim finds itself a member of the attacker.
#[tokio::test]
async fn a_role_given_to_its_victim_changes_nothing_for_the_victim() {
    let bed = Bed::make().await;
    for isolation in ALL {
        let attacker = bed.tenant(&format!("{isolation}-a"), isolation).await;
        let victim = bed.tenant(&format!("{isolation}-v"), isolation).await;
        let (attacking, before) = (enter(&attacker).await, enter(&victim).await);
        let [own, other] = [&attacker, &victim].map(|made| format!("t_{}", Login::hex(made)));
        // Refused from version 16 on, which is as well.
        let granted = sqlstate(&attacking, &format!("GRANT {own} TO {other}")).await;
        assert!(granted == "42501" || granted.ends_with("succeeded"), "{granted}");
        attacking
            .batch_execute(&format!(
                "ALTER ROLE {own} SET search_path = pg_temp; ALTER ROLE {own} SET statement_timeout = 1;
                 ALTER ROLE {own} SET default_transaction_read_only = on; ALTER ROLE {own} SET row_security = off;
                 ALTER ROLE {own} PASSWORD 'mine'"
            ))
            .await
            .expect("its own settings");
        assert_eq!(sqlstate(&attacking, &format!("GRANT {other} TO {own}")).await, "42501", "{isolation}");
        for session in [before, enter(&victim).await] {
            let seen =
                "SELECT session_user = current_user, current_setting('statement_timeout'), count(*) FROM clients";
            assert_eq!(rows(&session, seen).await, ["t,0,1"], "{isolation}");
            session.batch_execute("UPDATE clients SET notes = 'x'").await.expect("the victim writes as before");
        }
        // The attacker has locked out nobody, not even itself, and still finds no more than its own.
        let again = connect(dsn(&attacker)).await.expect("the role is restored");
        assert_eq!(rows(&again, "SELECT count(*) FROM clients WHERE notes = 'x'").await, ["0"], "{isolation}");
    }
    bed.close().await;
}

/// A setting that PostgreSQL reads at every login, and that ends the login when there is no such library.
#[tokio::test]
async fn a_tenant_that_spoils_its_own_logins_is_let_in_again() {
    let bed = Bed::make().await;
    for isolation in ["shared", "cluster"] {
        let made = bed.tenant(&format!("{isolation}-spoilt"), isolation).await;
        let client = enter(&made).await;
        let role = format!("t_{}", Login::hex(&made));
        client
            .batch_execute(&format!("ALTER ROLE {role} SET local_preload_libraries = 'no_such_library'"))
            .await
            .expect("its own setting");
        // A second session needs a new server connection while the first holds its own.
        let again = connect(dsn(&made)).await.expect("the role is restored");
        assert_eq!(rows(&again, "SELECT count(*) FROM clients").await, ["1"], "{isolation}");
    }
    bed.close().await;
}

#[tokio::test]
async fn names_of_any_kind_lead_to_no_tenant() {
    let bed = Bed::make().await;
    let (made, other) = (bed.tenant("one", "shared").await, bed.tenant("two", "shared").await);
    let (one, two) = (Login::of(&made), Login::of(&other));
    let role = format!("t_{}", Login::hex(&made));
    let long = "x".repeat(5000);
    for user in [
        "two\"",
        "two' OR '1'='1",
        "TWO",
        "two ",
        " two",
        "one,two",
        "two\n",
        "ｔｗｏ",
        "postgres",
        "sindico",
        &role,
        &long,
    ] {
        let mut socket = Socket::open(&bed).await;
        let login = Login { user: user.to_owned(), key: one.key.clone(), app: one.app.clone() };
        socket.send(&login.startup(&[])).await;
        assert_eq!(socket.prove(&one.key).await, Err("28000".to_owned()), "{user:?}");
    }
    // A label is the client's own, whatever it says; the slug behind it is who it is.
    for (user, key, expected) in [("two.one", &one.key, None), ("one.two", &one.key, Some("28P01"))] {
        let mut socket = Socket::open(&bed).await;
        let login = Login { user: user.to_owned(), key: key.clone(), app: one.app.clone() };
        socket.send(&login.startup(&[])).await;
        assert_eq!(socket.prove(key).await.err().as_deref(), expected, "{user}");
        if expected.is_none() {
            let who = crate::socket::values(&socket.query("SELECT session_user").await);
            assert_eq!(who.concat(), role);
        }
    }
    // Of two names the later counts, for the gateway as for what it opens.
    for (first, last, key, expected) in [(&one, &two, &one.key, Some("28P01")), (&one, &two, &two.key, None)] {
        let mut socket = Socket::open(&bed).await;
        socket.send(&first.startup(&[("user", &last.user)])).await;
        assert_eq!(socket.prove(key).await.err().as_deref(), expected);
        if expected.is_none() {
            let who = crate::socket::values(&socket.query("SELECT session_user").await);
            assert_eq!(who, [format!("t_{}", Login::hex(&other))]);
        }
    }
    for database in ["postgres", "template1", &format!("app_{}", bed.app), "p\"; --", "../x"] {
        let mut socket = Socket::open(&bed).await;
        socket.send(&one.startup(&[("database", database)])).await;
        assert_eq!(socket.prove(&one.key).await, Err("3D000".to_owned()), "{database}");
    }
    assert_eq!(refusal(&dsn(&other).replace(&two.key, &one.key)).await.0, "28P01", "the key of another tenant");
    bed.close().await;
}
