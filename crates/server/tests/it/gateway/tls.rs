//! Encryption between clients and the gateway.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gateway::{Certificates, DialSettings, Dials, GatewaySettings, Plaintext};
use postgres_protocol::authentication::sasl::ChannelBinding;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::bed::{Bed, Options};
use crate::instance::{Said, psql};
use crate::socket::{GSSENC_REQUEST, Login, SSL_REQUEST, Socket, tags, values};

const PLUS: &str = "SCRAM-SHA-256-PLUS";
const PATIENCE: Duration = Duration::from_secs(20);

/// A certificate for `localhost` in files, signed by itself.
pub(super) struct Proof {
    folder: TempDir,
    der: CertificateDer<'static>,
}

impl Proof {
    pub(super) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let der = Self::write(&folder);
        Self { folder, der }
    }

    /// Puts another one into the same files.
    fn renew(&mut self) {
        self.der = Self::write(&self.folder);
    }

    fn write(folder: &TempDir) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        fs::write(folder.path().join("cert.pem"), made.cert.pem()).expect("written");
        fs::write(folder.path().join("key.pem"), made.signing_key.serialize_pem()).expect("written");
        made.cert.der().clone()
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    pub(super) fn settings(&self, plaintext: Plaintext) -> GatewaySettings {
        let certificates = Certificates::read(self.file(), self.folder.path().join("key.pem")).expect("a pair");
        let dials = Dials::new(DialSettings { plaintext, ..DialSettings::default() });
        GatewaySettings { certificates: Some(certificates), dials, ..GatewaySettings::default() }
    }

    pub(super) fn settings_with(&self, plaintext: Plaintext, failed_logins: u32) -> GatewaySettings {
        let dials = Dials::new(DialSettings { plaintext, failed_logins, ..DialSettings::default() });
        GatewaySettings { dials, ..self.settings(plaintext) }
    }

    /// Does the client's half of a handshake, trusting nobody else.
    async fn shake(&self, socket: TcpStream, alpn: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, socket).await
    }

    /// A connection that was asked to be encrypted, and is.
    pub(super) async fn secured(&self, bed: &Bed) -> Socket {
        Socket::over(self.connected(bed).await)
    }

    /// The same for a driver.
    pub(super) async fn connected(&self, bed: &Bed) -> TlsStream<TcpStream> {
        let mut socket = dial(bed).await;
        ask(&mut socket).await;
        self.shake(socket, &[]).await.expect("a handshake")
    }
}

async fn bed_with(proof: &Proof, plaintext: Plaintext) -> Bed {
    Bed::with(Options { gateway: proof.settings(plaintext), ..Options::default() }).await
}

async fn dial(bed: &Bed) -> TcpStream {
    TcpStream::connect(("127.0.0.1", bed.gateway_port)).await.expect("the gateway listens")
}

/// Asks for TLS and is granted it.
async fn ask(socket: &mut TcpStream) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    socket.write_all(SSL_REQUEST).await.expect("sent");
    let mut answer = [0];
    socket.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"S");
}

/// What psql makes of further parameters, by the name that the certificate has.
pub(super) fn psql_with(login: &Login, port: u16, host: &str, further: &str, sql: &str) -> Said {
    let Login { user, key, app } = login;
    psql(
        &format!(
            "host={host} hostaddr=127.0.0.1 port={port} user={user} password={key} dbname={app} gssencmode=disable {further}"
        ),
        sql,
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn psql_works_at_every_level_of_trust() {
    let (proof, stranger) = (Proof::new(), Proof::new());
    let bed = bed_with(&proof, Plaintext::Loopback).await;
    for isolation in ["shared", "database"] {
        let made = bed.tenant(&format!("paws-{isolation}"), isolation).await;
        let say = |host: &str, further: &str| psql_with(&Login::of(&made), bed.gateway_port, host, further, "SELECT 1");
        let root = format!("sslmode=verify-full sslrootcert={}", proof.file().display());
        for further in [
            "sslmode=disable",
            "sslmode=prefer",
            "sslmode=require",
            "sslmode=require channel_binding=require",
            "sslmode=require channel_binding=disable",
            "sslmode=require ssl_max_protocol_version=TLSv1.2",
            root.as_str(),
        ] {
            assert_eq!(say("localhost", further).ok(), "1\n", "{further}");
        }
        say("elsewhere", &root).fails(2, &["does not match"]);
        let other = format!("sslmode=verify-full sslrootcert={}", stranger.file().display());
        say("localhost", &other).fails(2, &["certificate verify failed"]);
        say("localhost", "sslmode=require ssl_min_protocol_version=TLSv1 ssl_max_protocol_version=TLSv1.1")
            .fails(2, &[]);
        say("localhost", "sslmode=disable channel_binding=require").fails(2, &["channel binding"]);

        // More than any buffer holds, both ways.
        let long = "SELECT sum(length(x)) FROM (SELECT repeat('x', 1000) || i AS x FROM generate_series(1, 20000) i) s";
        let rows = psql_with(
            &Login::of(&made),
            bed.gateway_port,
            "localhost",
            "sslmode=require",
            &long.replace("sum(length(x))", "x"),
        )
        .ok();
        assert_eq!(rows.len().to_string(), {
            let sum = psql_with(&Login::of(&made), bed.gateway_port, "localhost", "sslmode=require", long).ok();
            (sum.trim().parse::<usize>().expect("a number") + 20_000).to_string()
        });
        let text = "y".repeat(100_000);
        let sql = format!("SELECT length('{text}')");
        assert_eq!(
            psql_with(&Login::of(&made), bed.gateway_port, "localhost", "sslmode=require", &sql).ok(),
            "100000\n"
        );
    }
    bed.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_to_be_encrypted_is_told_so_before_anything_is_asked() {
    let proof = Proof::new();
    let bed = bed_with(&proof, Plaintext::Nowhere).await;
    let made = bed.tenant("paws", "shared").await;
    psql_with(&Login::of(&made), bed.gateway_port, "localhost", "sslmode=disable", "SELECT 1")
        .fails(2, &["without TLS", "sslmode=verify-full"]);
    assert_eq!(psql_with(&Login::of(&made), bed.gateway_port, "localhost", "sslmode=prefer", "SELECT 1").ok(), "1\n");
    let mut socket = Socket::open(&bed).await;
    socket.send(&Login::of(&made).startup(&[])).await;
    let heard = socket.until_closed().await;
    assert_eq!(tags(&heard), "E", "nothing but the refusal");
    bed.close().await;
}

#[tokio::test]
async fn tls_may_come_first_if_it_names_the_protocol() {
    let proof = Proof::new();
    let bed = bed_with(&proof, Plaintext::Loopback).await;
    let made = bed.tenant("paws", "schema").await;
    let login = Login::of(&made);

    let direct = proof.shake(dial(&bed).await, &["postgresql"]).await.expect("a handshake");
    let mut socket = Socket::over(direct);
    socket.send(&login.startup(&[])).await;
    socket.prove(&login.key).await.expect("in");
    assert_eq!(values(&socket.query("SELECT 1").await), ["1"]);

    let direct = proof.shake(dial(&bed).await, &[]).await.expect("a handshake");
    assert_eq!(Socket::over(direct).last_words().await, "08P01", "no protocol was named");
    assert!(proof.shake(dial(&bed).await, &["http/1.1"]).await.is_err(), "another protocol");

    for request in [SSL_REQUEST, GSSENC_REQUEST] {
        let direct = proof.shake(dial(&bed).await, &["postgresql"]).await.expect("a handshake");
        let mut socket = Socket::over(direct);
        socket.send(request).await;
        assert_eq!(socket.last_words().await, "08P01", "encryption inside encryption");
        let mut socket = proof.secured(&bed).await;
        socket.send(request).await;
        assert_eq!(socket.last_words().await, "08P01", "encryption inside encryption");
    }
    bed.close().await;
}

/// CVE-2021-23214: what is sent before the handshake would be taken for the client's own words after it.
#[tokio::test]
async fn nothing_that_was_said_in_the_clear_is_heard_behind_the_handshake() {
    let proof = Proof::new();
    let bed = bed_with(&proof, Plaintext::Loopback).await;
    let made = bed.tenant("paws", "shared").await;
    let startup = Login::of(&made).startup(&[]);

    let mut socket = Socket::open(&bed).await;
    socket.send(&[SSL_REQUEST, &startup].concat()).await;
    assert_eq!(socket.last_words().await, "08P01", "bytes behind the request");

    // Once TLS is granted, anything else than a handshake ends the connection.
    let mut socket = Socket::open(&bed).await;
    socket.send(SSL_REQUEST).await;
    assert_eq!(socket.hear_byte().await, Some(b'S'));
    socket.send_anyway(&startup).await;
    let heard = timeout(PATIENCE, async {
        let mut heard = Vec::new();
        while let Some(byte) = socket.hear_byte().await {
            heard.push(byte);
        }
        heard
    });
    // A TLS alert and no message: none of ours begins with the byte of an alert.
    assert!(heard.await.expect("an end").first().is_none_or(|&first| first == 21));
    bed.close().await;
}

#[tokio::test]
async fn a_proof_is_bound_to_the_certificate() {
    let proof = Proof::new();
    let bed = bed_with(&proof, Plaintext::Loopback).await;
    let made = bed.tenant("paws", "shared").await;
    let login = Login::of(&made);
    let end_point = || tls::end_point(&proof.der).expect("a hash");
    let bound = || ChannelBinding::tls_server_end_point(end_point());

    for (mechanism, binding, expected) in [
        (PLUS, bound(), None),
        ("SCRAM-SHA-256", ChannelBinding::unsupported(), None),
        // A relay between two TLS connections would have another certificate.
        (PLUS, ChannelBinding::tls_server_end_point(vec![0; 32]), Some("28000")),
        // A client that can bind, from which somebody has hidden that it could here.
        ("SCRAM-SHA-256", ChannelBinding::unrequested(), Some("28000")),
        ("SCRAM-SHA-256", bound(), Some("08P01")),
        (PLUS, ChannelBinding::unsupported(), Some("08P01")),
    ] {
        let mut socket = proof.secured(&bed).await;
        socket.send(&login.startup(&[])).await;
        let outcome = socket.prove_bound(&login.key, mechanism, binding).await;
        assert_eq!(outcome.err().as_deref(), expected, "{mechanism}");
    }

    // Without encryption there is nothing to be bound to, which both may say.
    let mut socket = Socket::open(&bed).await;
    socket.send(&login.startup(&[])).await;
    socket.prove_bound(&login.key, "SCRAM-SHA-256", ChannelBinding::unrequested()).await.expect("in");
    let mut socket = Socket::open(&bed).await;
    socket.send(&login.startup(&[])).await;
    assert_eq!(socket.prove_bound(&login.key, PLUS, bound()).await.err().as_deref(), Some("08P01"));
    bed.close().await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_those_who_come_and_disturbs_nobody() {
    let mut proof = Proof::new();
    let bed = bed_with(&proof, Plaintext::Loopback).await;
    let made = bed.tenant("paws", "database").await;
    let login = Login::of(&made);
    let mut early = proof.secured(&bed).await;
    early.send(&login.startup(&[])).await;
    early.prove(&login.key).await.expect("in");
    assert_eq!(values(&early.query("BEGIN; SELECT 1").await), ["1"]);

    proof.renew();
    let renewed = async {
        loop {
            let mut socket = dial(&bed).await;
            ask(&mut socket).await;
            // The client trusts the new one only.
            if let Ok(stream) = proof.shake(socket, &[]).await {
                return Socket::over(stream);
            }
            sleep(Duration::from_millis(50)).await;
        }
    };
    let mut late = timeout(PATIENCE, renewed).await.expect("the new certificate");
    late.send(&login.startup(&[])).await;
    let bound = ChannelBinding::tls_server_end_point(tls::end_point(&proof.der).expect("a hash"));
    late.prove_bound(&login.key, PLUS, bound).await.expect("bound to the new one");
    assert_eq!(values(&early.query("SELECT 2; COMMIT").await), ["2"], "in the middle of a transaction");
    bed.close().await;
}

/// A client that sends without reading, then reads without sending: nothing is held back in either direction.
#[tokio::test]
async fn a_slow_reader_gets_everything() {
    let proof = Proof::new();
    let bed = bed_with(&proof, Plaintext::Loopback).await;
    let made = bed.tenant("paws", "shared").await;
    let login = Login::of(&made);
    let mut socket = proof.secured(&bed).await;
    socket.send(&login.startup(&[])).await;
    socket.prove(&login.key).await.expect("in");
    socket.send(&crate::socket::query("SELECT repeat('x', 10000) FROM generate_series(1, 1000)")).await;
    socket.send(&crate::socket::query("SELECT 'after'")).await;
    sleep(Duration::from_millis(300)).await;
    let heard = socket.until_ready().await;
    assert_eq!(heard.iter().filter(|(tag, _)| *tag == b'D').count(), 1000);
    assert_eq!(values(&socket.until_ready().await), ["after"]);
    bed.close().await;
}
