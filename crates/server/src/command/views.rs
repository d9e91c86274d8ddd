//! `sindico tenant views …`

use serde_json::{Value, json};

use crate::cli::ViewsCommand;
use crate::client::{Client, segment};
use crate::console::{Console, card};

const CARD: [(&str, &str); 4] =
    [("cluster", "/cluster"), ("database", "/database"), ("schema", "/schema"), ("readers", "/readers")];

pub(crate) async fn run(command: ViewsCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        ViewsCommand::Create { tenant } => {
            let made = console.wait("making the views", client.put(&path(&tenant), &json!({}))).await?;
            console.result(&made, |made| {
                let readers = made["readers"].as_str().unwrap_or_default();
                format!(
                    "{}\n\nA tool's own login reads them once it is a member of the readers:\n  \
                     CREATE ROLE reporting LOGIN PASSWORD '…' IN ROLE {readers};",
                    shown(made)
                )
            });
        }
        ViewsCommand::Show { tenant } => {
            console.result(&client.get(&path(&tenant)).await?, shown);
        }
        ViewsCommand::Drop { tenant } => {
            console.wait("removing the views", client.delete(&path(&tenant), None)).await?;
            console.result(&json!({"dropped": tenant}), |_| format!("the views of {tenant} are removed"));
        }
    }
    Ok(())
}

fn path(tenant: &str) -> String {
    format!("/tenants/{}/views", segment(tenant))
}

fn shown(views: &Value) -> String {
    let names = views["views"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut listed = views.clone();
    listed["listed"] = names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ").into();
    let mut page = card(&listed, &[CARD.as_slice(), &[("views", "/listed")]].concat());
    for left_out in views["left_out"].as_array().into_iter().flatten() {
        let [view, reason] = ["view", "reason"].map(|field| left_out[field].as_str().unwrap_or_default());
        page.push_str(&format!("\nleft out: {view}: {reason}"));
    }
    page
}
