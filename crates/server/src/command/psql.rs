//! `sindico tenant psql`

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, anyhow};
use serde_json::json;

use crate::client::{Client, segment};

/// Long enough to log in; the session outlives the key, by up to a week.
const KEY_SECONDS: u32 = 60;

/// Variables of libpq that would lead psql to another server or change who it is there.
const ELSEWHERE: [&str; 6] = ["PGSERVICE", "PGSERVICEFILE", "PGHOSTADDR", "PGOPTIONS", "PGSSLMODE", "PGREQUIREAUTH"];

/// Makes a key that soon expires and becomes psql. The key goes by environment, where the process list does not show it.
pub(crate) async fn run(tenant: &str, read_only: bool, words: &[String], client: &Client) -> anyhow::Result<()> {
    let access = if read_only { "read_only" } else { "read_write" };
    let body = json!({"label": "sindico tenant psql", "access": access, "expires_in": KEY_SECONDS});
    let made = client.post(&format!("/tenants/{}/keys", segment(tenant)), &body).await?;
    let dsn = made["dsn"].as_str().context("the control API sent no connection string")?;
    let target: tokio_postgres::Config = dsn.parse().context("the control API sent no usable connection string")?;
    let host = target.get_hosts().first().and_then(|host| match host {
        tokio_postgres::config::Host::Tcp(name) => Some(name.as_str()),
        tokio_postgres::config::Host::Unix(_) => None,
    });
    let (Some(host), Some(port), Some(user), Some(database), Some(password)) =
        (host, target.get_ports().first(), target.get_user(), target.get_dbname(), target.get_password())
    else {
        return Err(anyhow!("the control API sent an incomplete connection string"));
    };
    let mut psql = Command::new("psql");
    for elsewhere in ELSEWHERE {
        psql.env_remove(elsewhere);
    }
    let error = psql
        .args(words)
        .env("PGHOST", host)
        .env("PGPORT", port.to_string())
        .env("PGUSER", user)
        .env("PGDATABASE", database)
        .env("PGPASSWORD", String::from_utf8_lossy(password).as_ref())
        .exec();
    Err(error).context("psql could not be started; install it (Debian: apt-get install postgresql-client)")
}
