//! Registering apps and clusters.

mod check;
mod clusters;
mod crash;
mod registration;
mod secrets;

use catalog::AppFile;
use domain::AppName;
use lifecycle::AddApp;
use serde_json::{Value, json};
use tenantize::Manifest;

use crate::bed::{Bed, rows};

/// The smallest app: one table, one first row.
pub(crate) fn one_table(name: &AppName) -> AddApp {
    let file = |path: &str, content: &str| AppFile { path: path.to_owned(), content: content.to_owned() };
    AddApp {
        manifest: Manifest::parse(&format!("name = \"{name}\"")).expect("a manifest"),
        files: vec![
            file("migrations/1.sql", "CREATE TABLE notes (id int PRIMARY KEY, body text NOT NULL);"),
            file("seed/1.sql", "INSERT INTO notes (id, body) VALUES (1, 'hello');"),
        ],
    }
}

/// The body that registers an app with these files.
pub(crate) fn body(name: &AppName, files: &[(&str, &str)]) -> Value {
    let files: Vec<Value> = files.iter().map(|(path, content)| json!({"path": path, "content": content})).collect();
    json!({"manifest": format!("name = \"{name}\""), "files": files})
}

/// Whatever of this test's app is on either server: its databases, those half built included, and its group roles.
async fn remains(bed: &Bed) -> Vec<String> {
    let mut found = Vec::new();
    for server in 0..2 {
        let sql = format!(
            "SELECT 'database ' || datname FROM pg_database WHERE datname LIKE '%\\_{app}%' AND datname NOT LIKE 'control%'
             UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname LIKE 'app\\_{app}%' ORDER BY 1",
            app = bed.app
        );
        found.extend(rows(&bed.superuser(server, "postgres").await, &sql).await);
    }
    found
}
