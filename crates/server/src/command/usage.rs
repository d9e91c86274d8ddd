//! `sindico tenant usage`

use serde_json::{Value, json};

use crate::cli::UsageArgs;
use crate::client::{Client, segment};
use crate::console::{Console, card, rows, table};

const CARD: [(&str, &str); 11] = [
    ("tenant", "/slug"),
    ("isolation", "/isolation"),
    ("taken", "/taken_at"),
    ("rows", "/shown/rows"),
    ("bytes", "/shown/bytes"),
    ("connections", "/connections"),
    ("transactions", "/requests/transactions"),
    ("queries", "/requests/queries"),
    ("errors", "/requests/errors"),
    ("bytes received", "/requests/received_bytes"),
    ("bytes sent", "/requests/sent_bytes"),
];

const TABLES: [(&str, &str); 4] = [("table", "/name"), ("rows", "/rows"), ("bytes", "/bytes"), ("as of", "/as_of")];

const HISTORY: [(&str, &str); 8] = [
    ("taken", "/taken_at"),
    ("rows", "/rows/count"),
    ("bytes", "/bytes/count"),
    ("connections", "/connections"),
    ("+transactions", "/requests_since_previous/transactions"),
    ("+queries", "/requests_since_previous/queries"),
    ("+errors", "/requests_since_previous/errors"),
    ("+sent", "/requests_since_previous/sent_bytes"),
];

pub(crate) async fn run(args: UsageArgs, client: &Client, console: Console) -> anyhow::Result<()> {
    let tenant = format!("/tenants/{}", segment(&args.tenant));
    let resources = format!("{tenant}/resources");
    if args.now {
        let collected = console.wait("asking the servers", client.post(&resources, &Value::Null)).await?;
        if !args.history {
            console.result(&collected, shown);
        }
    } else if !args.history {
        console.result(&client.get(&resources).await?, shown);
    }
    if args.history {
        let all = Value::Array(every_page(&tenant, &args, client).await?);
        console.result(&all, |all| match rows(all) {
            [] => "no samples; the schedule `usage` takes them, or --now".to_owned(),
            rows => table(rows, &HISTORY),
        });
    }
    Ok(())
}

async fn every_page(tenant: &str, args: &UsageArgs, client: &Client) -> anyhow::Result<Vec<Value>> {
    let mut filter = String::new();
    for (name, value) in [("from", &args.from), ("to", &args.to)] {
        if let Some(value) = value {
            filter.push_str(&format!("&{name}={}", segment(value)));
        }
    }
    Ok(client.pages(&format!("{tenant}/usage?limit=1000{filter}")).await?.1)
}

fn shown(usage: &Value) -> String {
    let number = |pointer: &str| usage.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    let mut rows_text = format!("about {}", number("/rows/count"));
    if let Some(as_of) = usage.pointer("/rows/as_of").and_then(Value::as_str) {
        rows_text.push_str(&format!(", as of {as_of}"));
    }
    let unknown = number("/rows/unknown_tables");
    if unknown > 0 {
        rows_text.push_str(&format!(", without {unknown} tables that were never analyzed"));
    }
    let about = if usage.pointer("/bytes/estimated") == Some(&json!(true)) { "about " } else { "" };
    let mut told = usage.clone();
    told["shown"] = json!({"rows": rows_text, "bytes": format!("{about}{}", number("/bytes/count"))});
    let tables = rows(&usage["tables"]);
    let card = card(&told, &CARD);
    if tables.is_empty() { card } else { format!("{card}\n\n{}", table(tables, &TABLES)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_are_called_so() {
        let mut usage = json!({"slug": "paws", "isolation": "shared", "taken_at": "t", "connections": 1,
            "rows": {"count": 7, "estimated": true, "as_of": "then", "unknown_tables": 2},
            "bytes": {"count": 90, "estimated": true}, "requests": {"queries": 3}, "tables": []});
        let told = shown(&usage);
        for part in ["about 7, as of then, without 2 tables", "about 90"] {
            assert!(told.contains(part), "{part}: {told}");
        }
        usage["bytes"]["estimated"] = json!(false);
        assert!(!shown(&usage).contains("about 90"));
    }
}
