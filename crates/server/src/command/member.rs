//! `sindico tenant member …`

use reqwest::Method;
use serde_json::Value;

use crate::cli::MemberCommand;
use crate::client::{Client, segment};
use crate::console::{Console, rows, table};

const COLUMNS: [(&str, &str); 6] = [
    ("email", "/email"),
    ("name", "/name"),
    ("role", "/role"),
    ("asked", "/asked_at"),
    ("confirmed", "/confirmed_at"),
    ("id", "/id"),
];

pub(crate) async fn run(command: MemberCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        MemberCommand::List { tenant } => {
            let page = client.get(&format!("/tenants/{}/members", segment(&tenant))).await?;
            console.result(&page["items"], |items| match rows(items) {
                [] => "it has no members; `sindico tenant create --admin <EMAIL>` gives a tenant its first".to_owned(),
                rows => table(rows, &COLUMNS),
            });
        }
        MemberCommand::Ask { tenant, member } => {
            let members = format!("/tenants/{}/members", segment(&tenant));
            let id = named(&client.get(&members).await?, &member)?;
            let begun = client.begin(Method::POST, &format!("{members}/{}/confirmation", segment(&id)), None).await?;
            console.result(&begun, |begun| {
                let operation = begun["id"].as_str().unwrap_or_default();
                format!("a letter to {member} is on its way: sindico operation watch {operation}")
            });
        }
    }
    Ok(())
}

/// The id of a member who is named by id or address.
fn named(page: &Value, word: &str) -> anyhow::Result<String> {
    let is = |member: &&Value| {
        [&member["id"], &member["email"]].iter().any(|it| it.as_str().is_some_and(|it| it.eq_ignore_ascii_case(word)))
    };
    let found = rows(&page["items"]).iter().find(is).and_then(|member| member["id"].as_str());
    found
        .map(str::to_owned)
        .ok_or_else(|| anyhow::anyhow!("no member is called {word:?}; `sindico tenant member list` shows them"))
}
