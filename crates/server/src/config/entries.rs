//! Every setting by its name, for operators.

use gateway::ConfigEntry;
use serde_json::Value;

use super::ConfigError;
use super::raw::Raw;

/// The sections as they were read, so that no key is forgotten. Secrets are in files, of which the names are told, and in the
/// control database's DSN, of which the password is not.
pub(super) fn entries(raw: &Raw) -> Result<Vec<ConfigEntry>, ConfigError> {
    let sections =
        serde_json::to_value(raw).map_err(|error| ConfigError(format!("the settings cannot be shown: {error}")))?;
    let mut entries = Vec::new();
    list(String::new(), &sections, &mut entries);
    for entry in &mut entries {
        entry.changeable = CHANGEABLE.contains(&entry.key.as_str());
        if entry.key == DSN {
            entry.value = without_password(&entry.value);
        }
    }
    entries.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(entries)
}

/// The settings in a section, under their full names. One that is not there has nothing for a value.
fn list(key: String, value: &Value, entries: &mut Vec<ConfigEntry>) {
    let value = match value {
        Value::Object(section) => {
            for (name, value) in section {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                list(key, value, entries);
            }
            return;
        }
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    entries.push(ConfigEntry { key, value, changeable: false });
}

const DSN: &str = "control.dsn";

fn without_password(dsn: &str) -> String {
    let Ok(mut url) = reqwest::Url::parse(dsn) else { return String::new() };
    let taken = url.set_password(None);
    // libpq's parameters may have one, too.
    url.set_query(None);
    if taken.is_ok() { url.to_string() } else { String::new() }
}

/// Settings that can be changed while síndico runs.
pub(super) const CHANGEABLE: [&str; 11] = [
    "gateway.connections_per_tenant",
    "gateway.failed_logins",
    "gateway.idle_in_transaction_seconds",
    "gateway.idle_session_seconds",
    "gateway.max_clients",
    "gateway.pause_wait_seconds",
    "gateway.plaintext",
    "gateway.slow_query_milliseconds",
    "gateway.slow_query_text",
    "gateway.statement_seconds",
    "log.filter",
];
