//! The plain database of a single customer: the app's files as they are, run by psql's rules, and a role that uses them.

use catalog::AppFile;
use tenantize::{Scope, Sources, SqlFile};

use crate::bed::Bed;
use crate::door::Door;

/// A database that others are copied from.
pub(crate) struct Reference<'b> {
    bed: &'b Bed,
    /// Its name, and that of the role that uses the copies.
    name: String,
}

const PASSWORD: &str = "plain";

impl<'b> Reference<'b> {
    /// Runs an app's files in a database of their own.
    pub(crate) async fn build(bed: &'b Bed, app: &str, files: &[AppFile]) -> Self {
        let name = format!("plain_{app}");
        let server = bed.superuser(0, "postgres").await;
        server.batch_execute(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")).await.expect("a role");
        server
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"))
            .await
            .expect("a database");
        let inside = bed.superuser(0, &name).await;
        for file in files {
            if let Err(error) = inside.batch_execute(&file.content).await {
                panic!("{} does not run in a plain database: {error:?}", file.path);
            }
        }
        let grants = format!(
            "GRANT USAGE ON SCHEMA public TO {name};
             GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO {name};
             GRANT SELECT, USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {name};"
        );
        inside.batch_execute(&grants).await.expect("privileges");
        for table in global_tables(files) {
            let revoke = format!("REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {table} FROM {name}");
            inside.batch_execute(&revoke).await.expect("a vendor's table");
        }
        Self { bed, name }
    }

    /// A fresh copy.
    pub(crate) async fn open(&self, copy: &str) -> Door {
        let database = format!("{}_{copy}", self.name);
        let server = self.bed.superuser(0, "postgres").await;
        let create = format!("CREATE DATABASE {database} TEMPLATE {}", self.name);
        // The session that built it takes a moment to be gone.
        for _ in 0..100 {
            if server.batch_execute(&create).await.is_ok() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        let config: tokio_postgres::Config = self.bed.server_dsn(0, &database).parse().expect("a connection string");
        Door {
            name: "reference".to_owned(),
            port: config.get_ports()[0],
            user: self.name.clone(),
            password: PASSWORD.to_owned(),
            database,
        }
    }

    /// Removes the databases and the role.
    pub(crate) async fn close(self) {
        let server = self.bed.superuser(0, "postgres").await;
        let mine = server
            .query("SELECT datname::text FROM pg_database WHERE starts_with(datname, $1)", &[&self.name])
            .await
            .expect("databases");
        for row in mine {
            let name: String = row.get(0);
            server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
        }
        server.batch_execute(&format!("DROP ROLE {}", self.name)).await.expect("dropped");
    }
}

/// Tables that belong to the vendor, which customers only read.
fn global_tables(files: &[AppFile]) -> Vec<String> {
    let of = |part: &str| {
        let files = files.iter().filter(|file| file.path.starts_with(part));
        files.map(|file| SqlFile { name: file.path.clone(), text: file.content.clone() }).collect()
    };
    let plan = tenantize::plan(&Sources { migrations: of("migrations/"), seed: of("seed/") });
    let plan = plan.unwrap_or_else(|refusals| panic!("the app is refused:\n{refusals}"));
    plan.tables().iter().filter(|table| table.scope == Scope::Global).map(|table| table.name.clone()).collect()
}
