//! What a client may ask for before it logs in.

use tokio_postgres::NoTls;

use crate::bed::{Bed, connect, dsn, refusal, rows};
use crate::socket::{GSSENC_REQUEST, Login, SSL_REQUEST, Socket, startup, tags};

#[tokio::test]
async fn parameters_take_effect_and_are_what_reset_returns_to() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let with = |further: &str| format!("{}?{further}", dsn(&made));

    let client = connect(&with(
        "application_name=till&options=-c%20statement_timeout%3D7s%20--TimeZone%3DAmerica/Sao_Paulo%20-cDateStyle%3DGerman",
    ))
    .await
    .expect("these are allowed");
    let shown = "SELECT current_setting('application_name'), current_setting('statement_timeout'),
                        current_setting('TimeZone'), current_setting('DateStyle')";
    let expected = ["till,7s,America/Sao_Paulo,German, DMY"];
    assert_eq!(rows(&client, shown).await, expected);
    client
        .batch_execute("SET application_name = 'x'; SET statement_timeout = 0; SET TimeZone = 'UTC'; RESET ALL")
        .await
        .expect("set and reset");
    assert_eq!(rows(&client, shown).await, expected);
    client.batch_execute("DISCARD ALL").await.expect("discarded");
    assert_eq!(rows(&client, shown).await, expected);
    // The next client of the same tenant asked for something else.
    drop(client);
    let plain = connect(dsn(&made)).await.expect("let in");
    assert_ne!(rows(&plain, shown).await, expected);

    for (further, named) in [
        ("options=-c%20role%3Dpostgres", "role"),
        ("options=-c%20search_path%3Dpg_catalog", "search_path"),
        ("options=--session_authorization%3Dpostgres", "session_authorization"),
        ("options=-c%20row_security%3Doff", "row_security"),
        ("options=-c%20session_preload_libraries%3Dx", "session_preload_libraries"),
        ("options=-d5", "-d5"),
    ] {
        let (code, text) = refusal(&with(further)).await;
        assert!(["0A000", "42704"].contains(&code.as_str()) && text.contains(named), "{further}: {code} {text}");
    }
    // What asyncpg's users and JDBC's send for all of their connections.
    let tuned = connect(&with("options=-c%20jit%3Doff%20-c%20default_transaction_isolation%3Dserializable")).await;
    let shown = "SELECT current_setting('jit'), current_setting('transaction_isolation')";
    assert_eq!(rows(&tuned.expect("these are allowed"), shown).await, ["off,serializable"]);

    // Allowed by name, impossible by value: PostgreSQL's own answer.
    let (code, text) = refusal(&with("options=-c%20TimeZone%3DNowhere/Town")).await;
    assert!(
        code == "22023" && text.contains("\"TimeZone\": \"Nowhere/Town\"") && text.contains("startup"),
        "{code} {text}"
    );
    bed.close().await;
}

#[tokio::test]
async fn encodings_versions_and_encryption_are_negotiated() {
    let bed = Bed::make().await;
    let made = bed.tenant("paws", "shared").await;
    let login = Login::of(&made);

    for (name, value, expected) in [
        ("client_encoding", "LATIN1", Err("22023")),
        ("client_encoding", "SJIS", Err("22023")),
        ("client_encoding", "SQL_ASCII", Ok(())),
        ("client_encoding", "utf-8", Ok(())),
        ("replication", "database", Err("0A000")),
        ("replication", "true", Err("0A000")),
        ("sindico.token", "x", Err("42704")),
        ("a\"; DROP", "x", Err("42704")),
    ] {
        let mut socket = Socket::open(&bed).await;
        socket.send(&login.startup(&[(name, value)])).await;
        let outcome = match expected {
            Ok(()) => socket.prove(&login.key).await.map(|_| ()),
            Err(_) => Err(socket.last_words().await),
        };
        assert_eq!(outcome, expected.map_err(str::to_owned), "{name}={value}");
    }

    // What is not spoken is said before anything else; the client goes on with what is.
    let own = [("user", login.user.as_str()), ("database", &login.app)];
    for (version, option, offer, key_len) in [
        (0x0003_0000, None, None, 8),
        (0x0003_0001, None, None, 8),
        (0x0003_0002, None, None, 36),
        (0x0003_0000, Some("_pq_.grease"), Some(&b"\0\x03\0\0\0\0\0\x01_pq_.grease\0"[..]), 8),
        (0x0003_0002, Some("_pq_.grease"), Some(b"\0\x03\0\x02\0\0\0\x01_pq_.grease\0"), 36),
        (0x0003_270f, None, Some(b"\0\x03\0\x02\0\0\0\0"), 36),
    ] {
        let mut socket = Socket::open(&bed).await;
        socket.send(&startup(version, own.into_iter().chain(option.map(|name| (name, "on"))))).await;
        if let Some(offer) = offer {
            assert_eq!(socket.hear().await, Some((b'v', offer.to_vec())), "{version:x}");
        }
        let heard = socket.prove(&login.key).await.expect("in");
        assert!(!tags(&heard).contains('v'), "{version:x}");
        let key = heard.iter().find(|(tag, _)| *tag == b'K').expect("a cancel key");
        assert_eq!(key.1.len(), key_len, "{version:x}");
        assert_eq!(tags(&socket.query("SELECT 1").await), "TDCZ");
    }

    let mut socket = Socket::open(&bed).await;
    socket.send(&startup(0x0002_0000, [])).await;
    assert_eq!(socket.last_words().await, "0A000", "protocol 2");

    let mut socket = Socket::open(&bed).await;
    for request in [GSSENC_REQUEST, SSL_REQUEST] {
        socket.send(request).await;
        assert_eq!(socket.hear_byte().await, Some(b'N'));
    }
    socket.send(&login.startup(&[])).await;
    socket.prove(&login.key).await.expect("in");

    let mut config: tokio_postgres::Config = dsn(&made).parse().expect("a connection string");
    config.ssl_mode(tokio_postgres::config::SslMode::Require);
    assert!(config.connect(NoTls).await.is_err(), "who insists on TLS leaves");
    bed.close().await;
}
