//! Where a session is played: a tenant behind the gateway, or the plain database.

use std::collections::HashMap;

use serde_json::Value;

use crate::bed::Bed;
use crate::socket::{Login, Socket, query, startup};

/// How to get in, and who is behind it.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    /// `reference`, or the isolation.
    pub(crate) name: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) database: String,
}

/// Names of the types that a database has beyond PostgreSQL's, whose numbers are others in each.
pub(crate) type Types = HashMap<u32, String>;

impl Door {
    /// To a tenant.
    pub(crate) fn of_tenant(bed: &Bed, made: &Value) -> Self {
        let login = Login::of(made);
        let name = made["isolation"].as_str().expect("an isolation").to_owned();
        Self { name, port: bed.gateway_port, user: login.user, password: login.key, database: login.app }
    }

    /// Whether results show the column by which tenants are told apart.
    pub(crate) fn shows_tenant(&self) -> bool {
        self.name == "shared"
    }

    pub(crate) async fn enter(&self) -> Socket {
        let mut socket = Socket::dial(self.port).await;
        let parameters = [("user", self.user.as_str()), ("database", &self.database), ("TimeZone", "UTC")];
        socket.send(&startup(0x0003_0000, parameters)).await;
        socket.prove(&self.password).await.unwrap_or_else(|code| panic!("{}: no entry ({code})", self.name));
        socket
    }

    /// Reads the names of the app's types.
    pub(crate) async fn types(&self, socket: &mut Socket) -> Types {
        socket.send(&query("SELECT oid, typname FROM pg_catalog.pg_type WHERE oid >= 16384")).await;
        let rows = crate::socket::values(&socket.until_ready().await);
        let pair = |row: &String| {
            let (oid, name) = row.split_once(',').expect("two values");
            // A schema of its own has names of its own for the types of other tenants; the first is as good.
            (oid.parse().expect("a number"), name.to_owned())
        };
        rows.iter().map(pair).collect()
    }
}
