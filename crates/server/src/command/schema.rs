//! `sindico tenant schema …`

use serde_json::json;

use crate::cli::SchemaCommand;
use crate::client::{Client, segment};
use crate::console::Console;

pub(crate) async fn run(command: SchemaCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        SchemaCommand::Create { tenant } => {
            let path = format!("/tenants/{}/schema", segment(&tenant));
            let made = console.wait("making the schema", client.post(&path, &json!({}))).await?;
            console.result(&made, |made| format!("{tenant} has schema {}", made["placement"]["schema"]));
        }
        SchemaCommand::Drop { tenant, confirm } => {
            let path = format!("/tenants/{}/schema", segment(&tenant));
            let body = json!({"confirm": confirm});
            console.wait("dropping the schema", client.delete(&path, Some(&body))).await?;
            console.result(&json!({"dropped": confirm}), |_| format!("the schema of {confirm} is dropped"));
        }
    }
    Ok(())
}
