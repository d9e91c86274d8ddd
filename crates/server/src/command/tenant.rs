//! `sindico tenant …`

use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{PoolArgs, TenantCommand};
use crate::client::{Client, segment};
use crate::console::{Console, card, rows, table};

const CARD: [(&str, &str); 8] = [
    ("id", "/id"),
    ("slug", "/slug"),
    ("name", "/name"),
    ("app", "/app"),
    ("status", "/status"),
    ("isolation", "/isolation"),
    ("cluster", "/placement/cluster"),
    ("created", "/created_at"),
];

pub(crate) async fn run(command: TenantCommand, client: &Client, console: Console) -> anyhow::Result<()> {
    match command {
        TenantCommand::Create { slug, isolation, name, app, cluster, admin, admin_name, no_wait } => {
            let mut body = json!({"slug": slug, "isolation": isolation});
            if let Some(email) = admin {
                body["admin"] = admin_body(&json!(email), &json!(admin_name));
            }
            for (field, value) in [("name", json!(name)), ("app", json!(app)), ("cluster", json!(cluster))] {
                if !value.is_null() {
                    body[field] = value;
                }
            }
            let made = if no_wait {
                client.begin(Method::POST, "/tenants", Some(&body)).await?
            } else {
                console.wait("making the tenant", client.post("/tenants", &body)).await?
            };
            console.result(&made, |made| {
                let mut more = vec![("key", "/key"), ("dsn", "/dsn")];
                if no_wait {
                    more.push(("operation", "/operation"));
                }
                if !made["dashboard_url"].is_null() {
                    more.push(("dashboard", "/dashboard_url"));
                }
                let shown = card(made, &[CARD.as_slice(), &more].concat());
                let word = |field: &str| made[field].as_str().unwrap_or_default().to_owned();
                let next = if no_wait {
                    format!("Wait until it is open: sindico operation watch {}", word("operation"))
                } else {
                    format!("Try it: psql \"{}\"", word("dsn"))
                };
                let letter = if body["admin"].is_null() {
                    String::new()
                } else {
                    format!("\nWhoever looks after it gets a letter: sindico tenant member list {slug}")
                };
                format!("{shown}\n\nThe key is shown only now. {next}{letter}")
            });
        }
        TenantCommand::List { app, isolation } => {
            let mut filter = String::new();
            for (name, value) in
                [("app", app.map(|it| it.to_string())), ("isolation", isolation.map(|it| it.to_string()))]
            {
                if let Some(value) = value {
                    filter.push_str(&format!("&{name}={value}"));
                }
            }
            let all = Value::Array(client.pages(&format!("/tenants?limit=1000{filter}")).await?.1);
            console.result(&all, |all| match rows(all) {
                [] => "no tenants; make one with `sindico tenant create <slug>`".to_owned(),
                rows => table(rows, &[CARD[1], CARD[2], CARD[3], CARD[5], CARD[4], CARD[6], CARD[0]]),
            });
        }
        TenantCommand::Show { tenant } => {
            let shown = client.get(&format!("/tenants/{}", segment(&tenant))).await?;
            console.result(&shown, |shown| card(shown, &CARD));
        }
        TenantCommand::Pool(words) => pool(words, client, console).await?,
        TenantCommand::Suspend { tenant } => set_status(&tenant, "suspended", client, console).await?,
        TenantCommand::Resume { tenant } => set_status(&tenant, "active", client, console).await?,
        TenantCommand::Delete { tenant, yes, no_wait } => delete(&tenant, yes, no_wait, client, console).await?,
        TenantCommand::Psql { .. }
        | TenantCommand::Import(_)
        | TenantCommand::Key(_)
        | TenantCommand::Member(_)
        | TenantCommand::Schema(_)
        | TenantCommand::Usage(_)
        | TenantCommand::Views(_) => {}
    }
    Ok(())
}

/// Whoever looks after a tenant, as the API takes it.
pub(crate) fn admin_body(email: &Value, name: &Value) -> Value {
    let mut admin = json!({"email": email});
    if !name.is_null() {
        admin["name"] = name.clone();
    }
    admin
}

async fn set_status(tenant: &str, status: &str, client: &Client, console: Console) -> anyhow::Result<()> {
    let path = format!("/tenants/{}", segment(tenant));
    let edited = client.patch(&path, &json!({"status": status})).await?;
    console.result(&edited, |edited| {
        format!("{} is {}", edited["slug"].as_str().unwrap_or_default(), edited["status"].as_str().unwrap_or_default())
    });
    Ok(())
}

/// The settings by their names in the API, with their titles and what is in force where there is none.
const POOL: [(&str, &str, &str); 4] = [
    ("mode", "mode", "gateway.pool_mode"),
    ("pooling", "pooling", "gateway.pooling"),
    ("max_server_connections", "max server connections", "pool.connections_per_tenant"),
    ("max_clients", "max clients", "gateway.connections_per_tenant"),
];

async fn pool(words: PoolArgs, client: &Client, console: Console) -> anyhow::Result<()> {
    let path = format!("/tenants/{}", segment(&words.tenant));
    let mut tenant = client.get(&path).await?;
    let given = [
        words.mode.map(|it| json!(it.0)),
        words.pooling.map(|it| json!(it.0)),
        words.max_server_connections.map(|it| json!(it.0)),
        words.max_clients.map(|it| json!(it.0)),
    ];
    if given.iter().any(Option::is_some) {
        let mut pool = tenant["pool"].take();
        for ((name, ..), value) in POOL.iter().zip(given) {
            if let Some(value) = value {
                pool[*name] = value;
            }
        }
        tenant = client.patch(&path, &json!({"pool": pool})).await?;
    }
    console.result(&tenant["pool"], |pool| {
        let mut shown = pool.clone();
        for (name, _, default) in POOL {
            if shown[name].is_null() {
                shown[name] = json!(format!("as configured ({default})"));
            }
        }
        let lines = POOL.map(|(name, title, _)| (title, format!("/{name}")));
        card(&shown, &lines.each_ref().map(|(title, pointer)| (*title, pointer.as_str())))
    });
    Ok(())
}

async fn delete(tenant: &str, yes: bool, no_wait: bool, client: &Client, console: Console) -> anyhow::Result<()> {
    let path = format!("/tenants/{}", segment(tenant));
    let found = client.get(&path).await?;
    let slug = found["slug"].as_str().unwrap_or_default();
    if !yes {
        let question = format!("This deletes {slug} with all its data, for good. Type its slug to go on:");
        let unattended = format!("deleting {slug} deletes all its data; add --yes to do it without being asked");
        console.confirm(&question, slug, &unattended, "nothing was deleted")?;
    }
    if no_wait {
        let begun = client.begin(Method::DELETE, &path, None).await?;
        console.result(&begun, |begun| {
            let operation = begun["id"].as_str().unwrap_or_default();
            format!("{slug} is being deleted: sindico operation watch {operation}")
        });
        return Ok(());
    }
    console.wait("deleting the tenant", client.delete(&path, None)).await?;
    console.result(&json!({"deleted": slug, "id": found["id"]}), |_| format!("{slug} is deleted"));
    Ok(())
}
