//! The pet shop in a database that has never heard of síndico, and a role that uses it.

use crate::bed::{Bed, app};
use crate::drivers::Door;

const PASSWORD: &str = "plain";

/// It, and the way in.
pub(super) struct Plain {
    pub(super) door: Door,
}

impl Plain {
    pub(super) async fn make(bed: &Bed) -> Self {
        let name = format!("plain_{}", bed.app);
        let server = bed.superuser(0, "postgres").await;
        server.batch_execute(&format!("CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")).await.expect("a role");
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        server.batch_execute(&create).await.expect("a database");
        let inside = bed.superuser(0, &name).await;
        let mut files = app("petshop", &bed.app).files;
        // Migrations stand before seeds, each in the order of their numbers.
        files.sort_by(|one, other| one.path.cmp(&other.path));
        for file in files {
            inside.batch_execute(&file.content).await.unwrap_or_else(|error| panic!("{}: {error:?}", file.path));
        }
        inside
            .batch_execute(&format!(
                "GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA public TO {name};
                 REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON species, breeds FROM {name};
                 GRANT SELECT, USAGE, UPDATE ON ALL SEQUENCES IN SCHEMA public TO {name}"
            ))
            .await
            .expect("privileges");
        let config: tokio_postgres::Config = bed.server_dsn(0, &name).parse().expect("a connection string");
        let port = config.get_ports()[0];
        let password = PASSWORD.to_owned();
        // PostgreSQL takes any setting with a dot in its name.
        let options = "-c sindico.pool_mode=transaction".to_owned();
        Self { door: Door { port, user: name.clone(), password, database: name, options } }
    }

    pub(super) async fn close(self, bed: &Bed) {
        let server = bed.superuser(0, "postgres").await;
        let name = &self.door.user;
        server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await.expect("dropped");
        server.batch_execute(&format!("DROP ROLE {name}")).await.expect("dropped");
    }
}
