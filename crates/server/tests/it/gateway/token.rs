//! Clients that log in with a token of somebody else's in place of a key.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gateway::{GatewaySettings, Plaintext};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, encode};
use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;
use tenancy::{TokenSettings, Tokens};
use tokio::time::{Instant, sleep, timeout};

use super::tls::{Proof, psql_with};
use crate::bed::{Bed, Options};
use crate::socket::{Login, Socket, errors, message, query, tags, values};

const PATIENCE: Duration = Duration::from_secs(20);
const JWT: (&str, &str) = ("sindico.auth", "jwt");

/// Somebody who issues tokens, signed with Ed25519.
struct Issuer {
    folder: TempDir,
    kid: &'static str,
    key: EncodingKey,
}

impl Issuer {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let key = Self::make(&folder, "first");
        Self { folder, kid: "first", key }
    }

    /// A new key in the place of the one before.
    fn renew(&mut self) {
        (self.key, self.kid) = (Self::make(&self.folder, "second"), "second");
    }

    fn make(folder: &TempDir, kid: &str) -> EncodingKey {
        let made = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        let public = DecodingKey::from_ed_der(rcgen::PublicKeyData::der_bytes(&made));
        let jwk = Jwk::from_decoding_key(&public, Some(Algorithm::EdDSA)).expect("a JWK");
        let mut jwk = serde_json::to_value(jwk).expect("JSON");
        jwk["kid"] = kid.into();
        fs::write(folder.path().join("keys.json"), json!({"keys": [jwk]}).to_string()).expect("written");
        EncodingKey::from_ed_der(&made.serialize_der())
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("keys.json")
    }

    fn tokens(&self) -> Tokens {
        let settings = TokenSettings {
            issuer: "https://id.example".to_owned(),
            audience: "sindico".to_owned(),
            tenant_claim: "tenant".to_owned(),
            access_claim: "access".to_owned(),
            leeway: Duration::ZERO,
            grace: Duration::from_secs(2),
        };
        Tokens::read(settings, self.file()).expect("keys")
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, claims, &self.key).expect("a token")
    }

    /// A token that is as it should be, but for some of its claims.
    fn token(&self, tenant: &str, changes: Value) -> String {
        let mut claims = json!({
            "iss": "https://id.example", "aud": "sindico", "exp": now() + 600, "tenant": tenant, "access": "write"
        });
        let Value::Object(changes) = changes else { panic!("claims") };
        for (name, value) in changes {
            if value.is_null() {
                claims.as_object_mut().expect("claims").remove(&name);
            } else {
                claims[name] = value;
            }
        }
        self.sign(&claims)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

async fn bed_with(proof: &Proof, issuer: &Issuer, failed_logins: u32) -> Bed {
    let settings =
        GatewaySettings { tokens: Some(issuer.tokens()), ..proof.settings_with(Plaintext::Loopback, failed_logins) };
    Bed::with(Options { gateway: settings, ..Options::default() }).await
}

/// Says hello and shows a token when it is asked for one.
async fn show(socket: &mut Socket, login: &Login, token: &[u8], further: &[(&str, &str)]) -> Result<(), String> {
    socket.send(&login.startup(&[&[JWT], further].concat())).await;
    match socket.hear().await {
        Some((b'R', body)) => assert_eq!(body, [0, 0, 0, 3], "AuthenticationCleartextPassword"),
        Some(other) => return Err(errors(&[other]).concat()),
        None => return Err("closed".to_owned()),
    }
    socket.send_anyway(&message(b'p', &[token, b"\0"].concat())).await;
    let mut heard = Vec::new();
    while let Some(message) = socket.hear().await {
        if message.0 == b'Z' {
            return Ok(());
        }
        heard.push(message);
    }
    Err(errors(&heard).concat())
}

/// A session with a token.
async fn enter(bed: &Bed, proof: &Proof, login: &Login, token: &str) -> Result<Socket, String> {
    let mut socket = proof.secured(bed).await;
    show(&mut socket, login, token.as_bytes(), &[]).await.map(|()| socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_opens_what_a_key_opens() {
    let (proof, issuer) = (Proof::new(), Issuer::new());
    let bed = bed_with(&proof, &issuer, 10).await;
    for isolation in ["shared", "schema", "database"] {
        let slug = format!("paws-{isolation}");
        let made = bed.tenant(&slug, isolation).await;
        let login = Login::of(&made);
        let by = |token: &str, further: &str, sql: &str| {
            let login = Login { key: token.to_owned(), ..login.clone() };
            psql_with(&login, bed.gateway_port, "localhost", further, sql)
        };
        let writes = issuer.token(&slug, json!({}));
        let (jwt, trusting) =
            ("options='-c sindico.auth=jwt'", format!("sslmode=verify-full sslrootcert={}", proof.file().display()));
        let further = format!("{jwt} {trusting}");
        assert_eq!(
            by(&writes, &further, "UPDATE clients SET notes = 'token' RETURNING name").ok(),
            "Ana Souza\nUPDATE 1\n"
        );
        for reads in [json!({"access": null}), json!({"access": "read"})] {
            let reads = issuer.token(made["id"].as_str().expect("an id"), reads);
            assert_eq!(by(&reads, &further, "SELECT notes FROM clients").ok(), "token\n");
            by(&reads, &further, "DELETE FROM clients").fails(1, &["permission denied"]);
        }
        // Whoever does not say so is asked for a key, and a token is none.
        by(&writes, &trusting, "SELECT 1").fails(2, &["password authentication failed"]);
        by(&login.key, &further, "SELECT 1").fails(2, &["not a signed JWT"]);
        assert_eq!(by(&login.key, &trusting, "SELECT 1").ok(), "1\n");
        // Not even on this machine, where plain text is let in otherwise.
        by(&writes, &format!("{jwt} sslmode=disable"), "SELECT 1").fails(2, &["over TLS only"]);
    }
    bed.close().await;
}

#[tokio::test]
async fn without_tls_or_an_issuer_nothing_is_asked() {
    let (proof, issuer) = (Proof::new(), Issuer::new());
    let bed = bed_with(&proof, &issuer, 10).await;
    let made = bed.tenant("paws", "shared").await;
    let login = Login::of(&made);
    let mut socket = Socket::open(&bed).await;
    socket.send(&login.startup(&[JWT])).await;
    let heard = socket.until_closed().await;
    assert_eq!((tags(&heard).as_str(), errors(&heard)), ("E", vec!["28000".to_owned()]));
    let mut socket = proof.secured(&bed).await;
    let operator = Login { user: "admin".to_owned(), app: "sindico".to_owned(), ..login.clone() };
    socket.send(&operator.startup(&[JWT])).await;
    assert_eq!(tags(&socket.until_closed().await), "E", "the console takes none");
    bed.close().await;

    let bed = Bed::with(Options { gateway: proof.settings(Plaintext::Loopback), ..Options::default() }).await;
    let made = bed.tenant("paws", "shared").await;
    let mut socket = proof.secured(&bed).await;
    socket.send(&Login::of(&made).startup(&[JWT])).await;
    let heard = socket.until_closed().await;
    assert_eq!((tags(&heard).as_str(), errors(&heard)), ("E", vec!["28000".to_owned()]));
    bed.close().await;
}

#[tokio::test]
async fn a_token_that_is_not_right_is_refused_and_throttled() {
    let (proof, issuer, stranger) = (Proof::new(), Issuer::new(), Issuer::new());
    let bed = bed_with(&proof, &issuer, 0).await;
    let (made, other) = (bed.tenant("paws", "shared").await, bed.tenant("claws", "database").await);
    let (login, claws) = (Login::of(&made), Login::of(&other));
    let right = issuer.token("paws", json!({}));
    let unsigned = {
        let claims = right.split('.').nth(1).expect("claims");
        format!("eyJhbGciOiJub25lIiwia2lkIjoiZmlyc3QifQ.{claims}.")
    };
    let by_public_key = {
        let keys = fs::read(issuer.file()).expect("keys");
        let header = Header { kid: Some("first".to_owned()), ..Header::new(Algorithm::HS256) };
        let claims = json!({"iss": "https://id.example", "aud": "sindico", "exp": now() + 600, "tenant": "paws"});
        encode(&header, &claims, &EncodingKey::from_secret(&keys)).expect("a token")
    };
    let unknown = {
        let header = Header { kid: Some("other".to_owned()), ..Header::new(Algorithm::EdDSA) };
        let claims = json!({"iss": "https://id.example", "aud": "sindico", "exp": now() + 600, "tenant": "paws"});
        encode(&header, &claims, &issuer.key).expect("a token")
    };
    for (what, token, code) in [
        ("unsigned", unsigned, "28P01"),
        ("by the public key", by_public_key, "28P01"),
        ("an unknown key", unknown, "28P01"),
        ("a stranger's", stranger.token("paws", json!({})), "28P01"),
        ("another issuer's", issuer.token("paws", json!({"iss": "https://other.example"})), "28P01"),
        ("for another audience", issuer.token("paws", json!({"aud": "another"})), "28P01"),
        ("without an end", issuer.token("paws", json!({"exp": null})), "28P01"),
        ("past", issuer.token("paws", json!({"exp": now() - 1})), "28P01"),
        ("to come", issuer.token("paws", json!({"nbf": now() + 60})), "28P01"),
        ("for nobody", issuer.token("paws", json!({"tenant": null})), "28P01"),
        ("for more than there is", issuer.token("paws", json!({"access": "superuser"})), "28P01"),
        ("for another tenant", issuer.token("claws", json!({})), "28000"),
        ("too long", issuer.token("paws", json!({"note": "x".repeat(20_000)})), "28P01"),
        ("far too long", "x".repeat(200_000), "28P01"),
        ("empty", String::new(), "28P01"),
        ("a key", login.key.clone(), "28P01"),
    ] {
        assert_eq!(enter(&bed, &proof, &login, &token).await.err().as_deref(), Some(code), "{what}");
    }
    let mut socket = proof.secured(&bed).await;
    let named = show(&mut socket, &login, right.as_bytes(), &[("sindico.tenant", "claws")]).await;
    assert_eq!(named.err().as_deref(), Some("28000"), "user and option disagree");
    assert_eq!(enter(&bed, &proof, &claws, &right).await.err().as_deref(), Some("28000"), "one tenant's at another");
    let elsewhere = Login { app: "postgres".to_owned(), ..login.clone() };
    assert_eq!(enter(&bed, &proof, &elsewhere, &right).await.err().as_deref(), Some("3D000"));
    enter(&bed, &proof, &login, &right).await.expect("in");

    // Something else than an answer.
    let mut socket = proof.secured(&bed).await;
    socket.send(&login.startup(&[JWT])).await;
    socket.hear().await.expect("a question");
    socket.send(&query("SELECT 1")).await;
    assert_eq!(socket.last_words().await, "08P01");
    bed.close().await;

    let bed = bed_with(&proof, &issuer, 3).await;
    let login = Login::of(&bed.tenant("paws", "shared").await);
    for wrong in [issuer.token("claws", json!({})), issuer.token("paws", json!({"exp": 1})), "x".repeat(20_000)] {
        assert!(enter(&bed, &proof, &login, &wrong).await.is_err());
    }
    let mut socket = proof.secured(&bed).await;
    socket.send(&login.startup(&[JWT])).await;
    assert_eq!(socket.last_words().await, "53300", "nothing is asked any more");
    bed.close().await;
}

#[tokio::test]
async fn who_came_by_token_leaves_with_the_tenant() {
    let (proof, issuer) = (Proof::new(), Issuer::new());
    let bed = bed_with(&proof, &issuer, 10).await;
    let login = Login::of(&bed.tenant("paws", "schema").await);
    let token = issuer.token("paws", json!({}));
    let mut socket = enter(&bed, &proof, &login, &token).await.expect("in");
    assert_eq!(values(&socket.query("SELECT 1").await), ["1"]);
    let suspend = json!({"status": "suspended"});
    bed.call(Method::PATCH, "/tenants/paws", Some(suspend)).await;
    let last = timeout(Duration::from_secs(1), socket.last_words()).await.expect("at once");
    assert_eq!(last, "57P01");
    assert_eq!(enter(&bed, &proof, &login, &token).await.err().as_deref(), Some("28000"));
    bed.call(Method::PATCH, "/tenants/paws", Some(json!({"status": "active"}))).await;
    enter(&bed, &proof, &login, &token).await.expect("in again");
    bed.call(Method::DELETE, "/tenants/paws", None).await;
    assert_eq!(enter(&bed, &proof, &login, &token).await.err().as_deref(), Some("28000"));
    bed.close().await;
}

#[tokio::test]
async fn a_session_ends_with_its_token_between_two_transactions() {
    let (proof, issuer) = (Proof::new(), Issuer::new());
    let bed = bed_with(&proof, &issuer, 10).await;
    let login = Login::of(&bed.tenant("paws", "shared").await);
    let end = now() + 3;
    let token = issuer.token("paws", json!({"exp": end}));
    let lasting = issuer.token("paws", json!({}));
    let until = |moment: u64| {
        let left = (UNIX_EPOCH + Duration::from_secs(moment)).duration_since(SystemTime::now());
        Instant::now() + left.unwrap_or_default()
    };
    let mut lasting = enter(&bed, &proof, &login, &lasting).await.expect("in");
    let mut by_session = proof.secured(&bed).await;
    show(&mut by_session, &login, token.as_bytes(), &[("sindico.pool_mode", "session")]).await.expect("in");
    let mut idle = enter(&bed, &proof, &login, &token).await.expect("in");
    let mut working = enter(&bed, &proof, &login, &token).await.expect("in");
    let mut lingering = enter(&bed, &proof, &login, &token).await.expect("in");
    for socket in [&mut working, &mut lingering] {
        assert_eq!(values(&socket.query("BEGIN; SELECT 1").await), ["1"]);
    }
    assert_eq!(values(&idle.query("SELECT 2").await), ["2"]);

    for rested in [&mut idle, &mut by_session] {
        let last = tokio::time::timeout_at(until(end + 1), rested.last_words()).await.expect("within a second");
        assert_eq!(last, "57P01");
        assert!(now() >= end, "not before");
    }
    let heard = working.query("SELECT 3; COMMIT").await;
    assert_eq!(values(&heard), ["3"], "a transaction goes on");
    let last = timeout(Duration::from_secs(1), working.last_words()).await.expect("and nothing behind it");
    assert_eq!(last, "57P01");
    let last = tokio::time::timeout_at(until(end + 4), lingering.last_words()).await.expect("not for ever");
    assert!(last == "57P01" && now() >= end + 2, "two seconds of grace");
    assert_eq!(enter(&bed, &proof, &login, &token).await.err().as_deref(), Some("28P01"));
    assert_eq!(values(&lasting.query("SELECT 4").await), ["4"], "others of the tenant notice nothing");
    bed.close().await;
}

#[tokio::test]
async fn new_keys_count_as_soon_as_they_are_seen() {
    let (proof, mut issuer) = (Proof::new(), Issuer::new());
    let bed = bed_with(&proof, &issuer, 0).await;
    let login = Login::of(&bed.tenant("paws", "shared").await);
    let old = issuer.token("paws", json!({}));
    let mut early = enter(&bed, &proof, &login, &old).await.expect("in");
    issuer.renew();
    let new = issuer.token("paws", json!({}));
    let renewed = async {
        while enter(&bed, &proof, &login, &new).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, renewed).await.expect("the new key");
    assert_eq!(enter(&bed, &proof, &login, &old).await.err().as_deref(), Some("28P01"));
    assert_eq!(values(&early.query("SELECT 1").await), ["1"], "who is in stays in");
    bed.close().await;
}

/// A driver, which has the password at hand and sends it when it is asked.
#[tokio::test(flavor = "multi_thread")]
async fn drivers_send_a_token_as_a_password() {
    let (proof, issuer) = (Proof::new(), Issuer::new());
    let bed = bed_with(&proof, &issuer, 10).await;
    let login = Login::of(&bed.tenant("paws", "database").await);
    let mut config = tokio_postgres::Config::new();
    config.user(&login.user).dbname(&login.app).password(issuer.token("paws", json!({})));
    config.options("-c sindico.auth=jwt").application_name("driver");
    let mut raw = proof.connected(&bed).await;
    let (client, connection) = config.connect_raw(&mut raw, tokio_postgres::NoTls).await.expect("in");
    tokio::pin!(connection);
    let asked = client.query_one("SELECT name FROM clients WHERE name <> $1", &[&"nobody"]);
    tokio::select! {
        row = asked => assert_eq!(row.expect("a row").get::<_, String>(0), "Ana Souza"),
        ended = &mut connection => panic!("{ended:?}"),
    }
    bed.close().await;
}
