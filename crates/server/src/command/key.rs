//! `sindico tenant key …`

use serde_json::json;

use crate::cli::KeyCommand;
use crate::client::{Client, segment};
use crate::console::{Console, card, rows, table};

const CARD: [(&str, &str); 5] =
    [("id", "/id"), ("label", "/label"), ("access", "/access"), ("created", "/created_at"), ("expires", "/expires_at")];

pub(crate) async fn run(command: KeyCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        KeyCommand::Create { tenant, label, read_only, expires_in } => {
            let access = if read_only { "read_only" } else { "read_write" };
            let body = json!({"label": label, "access": access, "expires_in": expires_in});
            let made = client.post(&format!("/tenants/{}/keys", segment(&tenant)), &body).await?;
            console.result(&made, |made| {
                let shown = card(made, &[CARD.as_slice(), &[("key", "/key"), ("dsn", "/dsn")]].concat());
                format!("{shown}\n\nThe key is shown only now.")
            });
        }
        KeyCommand::List { tenant } => {
            let page = client.get(&format!("/tenants/{}/keys", segment(&tenant))).await?;
            console.result(&page["items"], |items| table(rows(items), &CARD));
        }
        KeyCommand::Revoke { tenant, key } => {
            client.delete(&format!("/tenants/{}/keys/{key}", segment(&tenant)), None).await?;
            console.result(&json!({"revoked": key}), |_| format!("key {key} is revoked"));
        }
    }
    Ok(())
}
