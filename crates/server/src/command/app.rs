//! `sindico app …`

mod check;

use std::path::Path;

use serde_json::json;

use crate::app_dir::AppDir;
use crate::cli::AppCommand;
use crate::client::Client;
use crate::console::{Console, card, rows, table};

pub(crate) async fn run(command: AppCommand, dir: Option<&Path>, console: Console) -> anyhow::Result<()> {
    match command {
        AppCommand::Add { folder } => {
            let client = Client::find(dir)?;
            let app = AppDir::read(&folder)?;
            let body = json!({"manifest": app.manifest, "files": app.files});
            let added = console.wait("registering the app", client.post("/apps", &body)).await?;
            console.result(&added, |app| card(app, &[("name", "/name"), ("title", "/title"), ("ready", "/ready")]));
        }
        AppCommand::Check(args) => check::run(&args, console)?,
        AppCommand::List => {
            let page = Client::find(dir)?.get("/apps").await?;
            let columns = [("name", "/name"), ("title", "/title"), ("ready", "/ready"), ("since", "/created_at")];
            console.result(&page["items"], |items| match rows(items) {
                [] => "no apps yet; register one with `sindico app add <folder>`".to_owned(),
                rows => table(rows, &columns),
            });
        }
    }
    Ok(())
}
