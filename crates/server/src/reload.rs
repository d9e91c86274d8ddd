//! Reading the configuration again, without dropping anyone.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use gateway::{ConfigEntry, Dials, Places, Plaintext, ReloadChange};
use tenancy::Threshold;
use tracing::{info, warn};

use crate::config::Config;
use crate::logging::Filter;

/// What can be changed while síndico runs, and the settings that are in force.
#[derive(Debug)]
pub(crate) struct Reloader {
    pub(crate) path: PathBuf,
    pub(crate) in_force: Mutex<Vec<ConfigEntry>>,
    pub(crate) threshold: Threshold,
    pub(crate) places: Places,
    pub(crate) dials: Dials,
    pub(crate) filter: Filter,
    /// The gateway has a certificate.
    pub(crate) tls: bool,
}

impl Reloader {
    /// The settings in force.
    pub(crate) fn settings(&self) -> Vec<ConfigEntry> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again and puts in force what of it can be. A file that cannot be right changes nothing.
    pub(crate) fn reload(&self) -> Result<Vec<ReloadChange>, String> {
        let config = Config::read(&self.path).map_err(|error| error.to_string())?;
        if config.dials.plaintext == Plaintext::Nowhere && !self.tls {
            return Err("gateway.plaintext: \"nowhere\" would let nobody in before the next start, which is when the \
                        certificate in [gateway.tls] is taken; restart instead"
                .to_owned());
        }
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        self.filter.set(&config.log_filter)?;
        self.threshold.set_connections_per_tenant(config.connections_per_tenant);
        self.places.set_limit(config.max_clients);
        self.dials.set(config.dials);
        let changes = differences(&in_force, &config.entries());
        for ReloadChange { key, value, in_force: changed } in &changes {
            info!(key, value, in_force = changed, "another setting than before");
            if let Some(now) = in_force.iter_mut().find(|now| *changed && now.key == *key) {
                now.value.clone_from(value);
            }
        }
        info!(changes = changes.len(), "the configuration was read again");
        Ok(changes)
    }

    /// The same for somebody who does not wait for an answer.
    pub(crate) fn reload_on_signal(&self) {
        if let Err(why) = self.reload() {
            warn!(why, "the configuration was not read again; all settings are as they were");
        }
    }
}

/// What is another than before, or is there no more; whole sections may come and go.
fn differences(now: &[ConfigEntry], next: &[ConfigEntry]) -> Vec<ReloadChange> {
    let find = |entries: &[ConfigEntry], key: &str| entries.iter().find(|entry| entry.key == key).cloned();
    let gone = now.iter().filter(|entry| find(next, &entry.key).is_none());
    let gone = gone.map(|entry| ConfigEntry { value: String::new(), ..entry.clone() });
    let other = next.iter().filter(|entry| find(now, &entry.key).is_none_or(|before| before.value != entry.value));
    let mut changes: Vec<_> = other
        .cloned()
        .chain(gone)
        .map(|entry| ReloadChange { key: entry.key, value: entry.value, in_force: entry.changeable })
        .collect();
    changes.sort_by(|one, other| one.key.cmp(&other.key));
    changes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_may_come_and_go() {
        let entry =
            |key: &str, value: &str| ConfigEntry { key: key.to_owned(), value: value.to_owned(), changeable: false };
        let (without, with) = (vec![entry("a", "1"), entry("s", "")], vec![entry("a", "1"), entry("s.x", "2")]);
        let told = |now: &[ConfigEntry], next: &[ConfigEntry]| {
            differences(now, next).into_iter().map(|change| (change.key, change.value)).collect::<Vec<_>>()
        };
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(told(&without, &with), [pair("s", ""), pair("s.x", "2")]);
        assert_eq!(told(&with, &without), [pair("s", ""), pair("s.x", "")]);
        assert_eq!(told(&with, &with), []);
    }
}
