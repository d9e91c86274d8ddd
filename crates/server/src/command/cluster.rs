//! `sindico cluster …`

use anyhow::anyhow;
use serde_json::json;
use tls::Dsn;

use crate::cli::ClusterCommand;
use crate::client::Client;
use crate::console::{Console, card, rows, table};

pub(crate) async fn run(command: ClusterCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        ClusterCommand::Add { name, dsn, dedicated, capacity } => {
            // The file is the operator's; síndico may run elsewhere, and more than once.
            let dsn = Dsn::inline_roots(&dsn).map_err(|error| anyhow!("the DSN {error}"))?;
            let body = json!({"name": name, "dsn": dsn, "dedicated": dedicated, "capacity": capacity});
            let added = console.wait("registering the cluster", client.post("/clusters", &body)).await?;
            for warning in rows(&added["warnings"]).iter().filter_map(|warning| warning.as_str()) {
                console.note(&format!("warning: {warning}"));
            }
            let lines = [
                ("name", "/name"),
                ("host", "/host"),
                ("port", "/port"),
                ("dedicated", "/dedicated"),
                ("capacity", "/capacity"),
            ];
            console.result(&added, |cluster| card(cluster, &lines));
        }
        ClusterCommand::List => {
            let page = client.get("/clusters").await?;
            let columns = [
                ("name", "/name"),
                ("host", "/host"),
                ("port", "/port"),
                ("version", "/server_version"),
                ("dedicated", "/dedicated"),
                ("tenants", "/tenants"),
                ("capacity", "/capacity"),
            ];
            console.result(&page["items"], |items| match rows(items) {
                [] => "no clusters yet; register one with `sindico cluster add <name> <dsn>`".to_owned(),
                rows => table(rows, &columns),
            });
        }
    }
    Ok(())
}
