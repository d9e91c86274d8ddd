//! Backups in a bucket, on a real S3 server.

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use objects::{S3Settings, Secret, StorePlace};
use reqwest::{Method, StatusCode};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::TcpListener;

use crate::backup::restore::restore;
use crate::backup::{back_up, ended, everything, furnished, succeeded, walk};
use crate::bed::{Bed, Options, enter};

/// A server with one bucket, which knows one key.
async fn serve(folder: &std::path::Path) -> u16 {
    std::fs::create_dir(folder.join("copies")).expect("a bucket");
    let mut builder = S3ServiceBuilder::new(FileSystem::new(folder).expect("a file system"));
    builder.set_auth(SimpleAuth::from_single("id", "secret"));
    let service = builder.build();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        loop {
            let Ok((socket, _)) = listener.accept().await else { break };
            let service = service.clone();
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new());
                let _gone = server.serve_connection(TokioIo::new(socket), service).await;
            });
        }
    });
    port
}

fn place(port: u16, secret: &str) -> StorePlace {
    StorePlace::Bucket {
        bucket: "copies".to_owned(),
        prefix: "here/and/there".to_owned(),
        settings: S3Settings {
            endpoint: Some(format!("http://127.0.0.1:{port}")),
            region: Some("us-east-1".to_owned()),
            access_key_id: Some("id".to_owned()),
            secret_access_key: Some(Secret(secret.to_owned())),
        },
    }
}

#[tokio::test]
async fn a_bucket_is_as_good_as_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = serve(folder.path()).await;
    let bed = Bed::with(Options { store: Some(place(port, "secret")), ..Options::default() }).await;
    let made = furnished(&bed, "away", "schema").await;
    let client = enter(&made).await;
    // More than a part of an upload, of what cannot be made smaller.
    let noise = "INSERT INTO clients (name, email, notes) SELECT 'noise', n || '@noise.example', (SELECT string_agg(sha512((n * 1000 + m)::text::bytea)::text, '') FROM generate_series(1, 100) m)
         FROM generate_series(1, 1500) n";
    client.batch_execute(noise).await.expect("rows");
    let before = everything(&client).await;
    let backup = back_up(&bed, "away").await;
    let (_, shown) = bed.call(Method::GET, &format!("/backups/{backup}"), None).await;
    assert!(shown["stored_bytes"].as_u64().expect("bytes") > 9 << 20, "it has more than one part: {shown:#}");
    assert_eq!(shown["store"], "s3://copies/here/and/there");
    let verified = bed.call(Method::POST, &format!("/backups/{backup}/verify"), None).await;
    succeeded(&bed, verified).await;
    let again = restore(&bed, &backup, "again", "shared").await;
    assert_eq!(everything(&enter(&again).await).await, before);
    let (status, _) = bed.call(Method::DELETE, &format!("/backups/{backup}"), None).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let left: Vec<_> =
        walk(&folder.path().join("copies")).into_iter().filter(|it| !it.to_string_lossy().contains("/.")).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
    bed.close().await;
}

#[tokio::test]
async fn a_bucket_that_does_not_let_us_in_is_told_with_its_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let port = serve(folder.path()).await;
    let bed = Bed::with(Options { store: Some(place(port, "wrong")), ..Options::default() }).await;
    bed.tenant("away", "schema").await;
    let begun = bed.call(Method::POST, "/tenants/away/backups", None).await;
    let ended = ended(&bed, begun).await;
    assert_eq!(ended["state"], "failed", "{ended:#}");
    assert!(ended["error"].as_str().expect("why").contains("SignatureDoesNotMatch"), "{ended:#}");
    // Nobody has to wait for the bucket.
    assert_eq!(bed.call(Method::DELETE, "/tenants/away", None).await.0, StatusCode::NO_CONTENT);
    bed.close().await;
}
