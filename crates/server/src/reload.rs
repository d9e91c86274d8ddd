//! Reading the configuration again, without dropping anyone.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use gateway::{ConfigEntry, Places, ReloadChange};
use tenancy::Threshold;
use tracing::{info, warn};

use crate::config::Config;
use crate::logging::Filter;

/// What can be changed while síndico runs, and the settings that are in force.
#[derive(Debug)]
pub(crate) struct Reloader {
    path: PathBuf,
    in_force: Mutex<Vec<ConfigEntry>>,
    threshold: Threshold,
    places: Places,
    filter: Filter,
}

impl Reloader {
    pub(crate) fn new(
        path: PathBuf,
        in_force: Vec<ConfigEntry>,
        threshold: Threshold,
        places: Places,
        filter: Filter,
    ) -> Self {
        Self { path, in_force: Mutex::new(in_force), threshold, places, filter }
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> Vec<ConfigEntry> {
        self.in_force.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the file again and puts in force what of it can be. A file that cannot be right changes nothing.
    pub(crate) fn reload(&self) -> Result<Vec<ReloadChange>, String> {
        let config = Config::read(&self.path).map_err(|error| error.to_string())?;
        let mut in_force = self.in_force.lock().unwrap_or_else(PoisonError::into_inner);
        self.filter.set(&config.log_filter)?;
        self.threshold.set_connections_per_tenant(config.connections_per_tenant);
        self.places.set_limit(config.max_clients);
        let mut changes = Vec::new();
        for (now, next) in in_force.iter_mut().zip(config.entries()) {
            if now.value != next.value {
                changes.push(ReloadChange { key: next.key, value: next.value.clone(), in_force: next.changeable });
                info!(key = next.key, value = next.value, in_force = next.changeable, "another setting than before");
                if next.changeable {
                    *now = next;
                }
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
