//! Recorded sessions of the three apps.

use std::path::Path;

use catalog::AppFile;
use domain::AppName;
use futures_util::future::join_all;
use lifecycle::AddApp;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tenantize::Manifest;

use crate::bed::{Bed, Options, enter};
use crate::compare::differences;
use crate::door::Door;
use crate::play::Protocol;
use crate::reference::Reference;
use crate::session::Session;

pub(crate) const ISOLATIONS: [&str; 4] = ["shared", "schema", "database", "cluster"];

#[tokio::test]
async fn petshop() {
    every_session_of(
        "petshop",
        "INSERT INTO clients (name, phone) SELECT 'Neighbour', '+55 11 0000' FROM generate_series(1, 7)",
    )
    .await;
}

#[tokio::test]
async fn vms() {
    every_session_of("vms", "INSERT INTO cameras (name, tags) SELECT 'Neighbour', '{lpr}' FROM generate_series(1, 7)")
        .await;
}

#[tokio::test]
async fn camara() {
    every_session_of(
        "camara",
        "INSERT INTO letters (subject, body) SELECT 'Neighbour', 'x' FROM generate_series(1, 7)",
    )
    .await;
}

#[test]
fn every_file_belongs_to_an_app() {
    for session in sessions() {
        assert!(["petshop", "vms", "camara"].contains(&session.app.as_str()), "{} is of no app", session.file);
    }
}

fn sessions() -> Vec<Session> {
    Session::all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential/sessions"))
}

async fn every_session_of(app: &str, neighbours_rows: &str) {
    let bed = Bed::bare(Options::default()).await;
    let name: AppName = format!("{}_{app}", bed.app).parse().expect("an app name");
    let files = files(app);
    let manifest = Manifest::parse(&format!("name = \"{name}\"")).expect("a manifest");
    bed.lifecycle().add_app(AddApp { manifest, files: files.clone() }).await.expect("the app registers");
    let reference = Reference::build(&bed, name.as_str(), &files).await;
    // Rows that nobody else may see, in the tables and in the database that sessions use.
    for isolation in ["shared", "schema"] {
        let neighbour = tenant(&bed, &name, &format!("neighbour-{isolation}"), isolation).await;
        enter(&neighbour).await.batch_execute(neighbours_rows).await.expect("the neighbour's rows");
    }
    let mut found = Vec::new();
    let mine: Vec<Session> = sessions().into_iter().filter(|session| session.app == app).collect();
    assert!(!mine.is_empty(), "{app} has no sessions");
    for (nth, session) in mine.iter().enumerate() {
        for protocol in [Protocol::Simple, Protocol::Extended] {
            let run = format!("{nth}{}", if protocol == Protocol::Simple { "s" } else { "e" });
            let doors = doors(&bed, &name, &reference, &run).await;
            let differences = differences(session, &doors, protocol).await;
            eprintln!("{} ({protocol:?}): {}: {} differences", session.file, session.covers, differences.len());
            found.extend(differences);
        }
    }
    reference.close().await;
    bed.close().await;
    assert!(found.is_empty(), "{} differences\n\n{}", found.len(), found.join("\n"));
}

/// The reference and a new tenant in each isolation.
pub(crate) async fn doors(bed: &Bed, app: &AppName, reference: &Reference<'_>, run: &str) -> Vec<Door> {
    let slugs = ISOLATIONS.map(|isolation| format!("t{run}-{isolation}-{}", app.as_str().replace('_', "-")));
    let tenants = slugs.iter().zip(ISOLATIONS).map(|(slug, isolation)| tenant(bed, app, slug, isolation));
    let mut doors = vec![reference.open(run).await];
    doors.extend(join_all(tenants).await.iter().map(|made| Door::of_tenant(bed, made)));
    doors
}

/// Makes a tenant of one of several apps.
pub(crate) async fn tenant(bed: &Bed, app: &AppName, slug: &str, isolation: &str) -> Value {
    let body = json!({"slug": slug, "isolation": isolation, "app": app.as_str()});
    let (status, made) = bed.call(Method::POST, "/tenants", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made:#}");
    made
}

/// The files of an app in the repository.
fn files(app: &str) -> Vec<AppFile> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../apps").join(app);
    let mut files = Vec::new();
    for part in ["migrations", "seed"] {
        let mut names: Vec<_> = std::fs::read_dir(folder.join(part))
            .expect("the app")
            .map(|it| it.expect("an entry").file_name())
            .collect();
        names.sort();
        for name in names {
            let content = std::fs::read_to_string(folder.join(part).join(&name)).expect("a file");
            files.push(AppFile { path: format!("{part}/{}", name.to_string_lossy()), content });
        }
    }
    files
}
