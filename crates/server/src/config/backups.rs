//! Where backups go.

use std::path::{Path, PathBuf};
use std::time::Duration;

use lifecycle::BackupSettings;
use objects::{S3Settings, Secret, Store, StorePlace};
use serde::{Deserialize, Serialize};

use super::{ConfigError, secret};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawBackups {
    pub(super) url: Option<String>,
    pub(super) keep_days: i32,
    pub(super) objective_hours: u32,
    pub(super) s3_endpoint: Option<String>,
    pub(super) s3_region: Option<String>,
    pub(super) s3_access_key_id: Option<String>,
    pub(super) s3_secret_access_key_file: Option<PathBuf>,
}

impl Default for RawBackups {
    fn default() -> Self {
        Self {
            url: None,
            keep_days: 30,
            objective_hours: 24,
            s3_endpoint: None,
            s3_region: None,
            s3_access_key_id: None,
            s3_secret_access_key_file: None,
        }
    }
}

impl RawBackups {
    /// The store is opened; whether it answers is seen when it is needed.
    pub(super) fn lower(self, base: &Path) -> Result<BackupSettings, ConfigError> {
        if self.keep_days < 0 || self.keep_days > 36_500 {
            let why =
                format!("backups.keep_days: {} is out of range; give 1 to 36500, or 0 to keep all", self.keep_days);
            return Err(ConfigError(why));
        }
        if self.objective_hours == 0 {
            return Err(ConfigError(
                "backups.objective_hours: every backup is older than 0; give 1 or more".to_owned(),
            ));
        }
        Ok(BackupSettings {
            keep_days: Some(self.keep_days).filter(|days| *days > 0),
            objective: Duration::from_hours(self.objective_hours.into()),
            store: self
                .place(base)?
                .map(|place| Store::open(&place))
                .transpose()
                .map_err(|error| ConfigError(format!("backups.url: {error}")))?,
        })
    }

    fn place(&self, base: &Path) -> Result<Option<StorePlace>, ConfigError> {
        let s3 = [
            ("s3_endpoint", self.s3_endpoint.is_some()),
            ("s3_region", self.s3_region.is_some()),
            ("s3_access_key_id", self.s3_access_key_id.is_some()),
            ("s3_secret_access_key_file", self.s3_secret_access_key_file.is_some()),
        ];
        let Some(url) = &self.url else {
            return match s3.iter().find(|(_, given)| *given) {
                Some((key, _)) => Err(ConfigError(format!("backups.{key}: it says nothing without backups.url"))),
                None => Ok(None),
            };
        };
        if let Some(bucket) = url.strip_prefix("s3://") {
            let (bucket, prefix) = bucket.split_once('/').unwrap_or((bucket, ""));
            if bucket.is_empty() {
                return Err(ConfigError("backups.url: it names no bucket; write s3://bucket/prefix".to_owned()));
            }
            let secret = self
                .s3_secret_access_key_file
                .as_ref()
                .map(|file| secret(base, "backups.s3_secret_access_key_file", file))
                .transpose()?;
            let settings = S3Settings {
                endpoint: self.s3_endpoint.clone(),
                region: self.s3_region.clone(),
                access_key_id: self.s3_access_key_id.clone(),
                secret_access_key: secret.map(Secret),
            };
            let prefix = prefix.trim_matches('/').to_owned();
            return Ok(Some(StorePlace::Bucket { bucket: bucket.to_owned(), prefix, settings }));
        }
        if let Some((key, _)) = s3.iter().find(|(_, given)| *given) {
            return Err(ConfigError(format!("backups.{key}: it is for s3://…, and backups.url is {url:?}")));
        }
        match url.strip_prefix("file://").unwrap_or(url) {
            folder if folder.contains("://") || folder.is_empty() => {
                Err(ConfigError(format!("backups.url: {url:?} is neither a folder nor s3://bucket/prefix")))
            }
            folder => Ok(Some(StorePlace::Folder(base.join(folder)))),
        }
    }
}
