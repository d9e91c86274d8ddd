//! The sections of the file, with their defaults.

use std::path::PathBuf;
use std::time::Duration;

use gateway::{DialSettings, Plaintext, SessionLimits, SlowQueries};
use pool::PoolSettings;
use serde::{Deserialize, Serialize};

use super::backups::RawBackups;
use super::mail::RawMail;
use super::warm_pool::RawWarmPool;
use super::{ConfigError, positive};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    pub(super) control: Control,
    pub(super) secrets: Secrets,
    #[serde(default)]
    pub(super) api: Api,
    #[serde(default)]
    pub(super) gateway: Gateway,
    #[serde(default)]
    pub(super) pool: RawPool,
    #[serde(default)]
    pub(super) lifecycle: RawLifecycle,
    #[serde(default)]
    pub(super) backups: RawBackups,
    #[serde(default)]
    pub(super) metrics: Metrics,
    #[serde(default)]
    pub(super) usage: Usage,
    #[serde(default)]
    pub(super) warm_pool: RawWarmPool,
    #[serde(default)]
    pub(super) mail: Option<RawMail>,
    #[serde(default)]
    pub(super) log: Log,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Control {
    pub(super) dsn: String,
    #[serde(default = "control_connections")]
    pub(super) max_connections: u32,
}

pub(super) const fn control_connections() -> u32 {
    32
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Secrets {
    pub(super) master_key_file: PathBuf,
    pub(super) admin_token_file: PathBuf,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Api {
    pub(super) listen: String,
}

impl Default for Api {
    fn default() -> Self {
        Self { listen: "127.0.0.1:6433".to_owned() }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Gateway {
    pub(super) listen: String,
    pub(super) public_host: String,
    pub(super) public_port: Option<u16>,
    pub(super) max_clients: usize,
    pub(super) connections_per_tenant: usize,
    pub(super) pause_wait_seconds: u64,
    pub(super) pool_mode: String,
    pub(super) statement_seconds: u64,
    pub(super) idle_in_transaction_seconds: u64,
    pub(super) idle_session_seconds: u64,
    pub(super) slow_query_milliseconds: u64,
    pub(super) slow_query_text: String,
    pub(super) plaintext: String,
    pub(super) zone: Option<String>,
    pub(super) failed_logins: u32,
    pub(super) tls: Option<Tls>,
    pub(super) jwt: Option<Jwt>,
    pub(super) pooling: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Jwt {
    pub(super) issuer: String,
    pub(super) audience: String,
    pub(super) keys_file: PathBuf,
    #[serde(default = "tenant_claim")]
    pub(super) tenant_claim: String,
    #[serde(default = "access_claim")]
    pub(super) access_claim: String,
    #[serde(default = "leeway_seconds")]
    pub(super) leeway_seconds: u64,
    #[serde(default = "grace_seconds")]
    pub(super) grace_seconds: u64,
}

pub(super) fn tenant_claim() -> String {
    "tenant".to_owned()
}

pub(super) fn access_claim() -> String {
    "access".to_owned()
}

pub(super) const fn leeway_seconds() -> u64 {
    5
}

pub(super) const fn grace_seconds() -> u64 {
    60
}

impl Default for Gateway {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:6432".to_owned(),
            public_host: "127.0.0.1".to_owned(),
            public_port: None,
            max_clients: 10_000,
            connections_per_tenant: 100,
            pause_wait_seconds: 60,
            pool_mode: "transaction".to_owned(),
            statement_seconds: 0,
            idle_in_transaction_seconds: 0,
            idle_session_seconds: 0,
            slow_query_milliseconds: 0,
            slow_query_text: "full".to_owned(),
            plaintext: "loopback".to_owned(),
            zone: None,
            failed_logins: 10,
            tls: None,
            jwt: None,
            pooling: "own".to_owned(),
        }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPool {
    pub(super) connections_per_cluster: usize,
    pub(super) connections_per_tenant: usize,
    pub(super) minimum_per_tenant: usize,
    pub(super) adaptive_concurrency: bool,
    pub(super) wait_seconds: u64,
    pub(super) connect_seconds: u64,
    pub(super) idle_seconds: u64,
    pub(super) lifetime_seconds: u64,
}

impl Default for RawPool {
    fn default() -> Self {
        Self {
            connections_per_cluster: 80,
            connections_per_tenant: 100,
            minimum_per_tenant: 1,
            adaptive_concurrency: true,
            wait_seconds: 15,
            connect_seconds: 5,
            idle_seconds: 300,
            lifetime_seconds: 3600,
        }
    }
}

impl RawPool {
    pub(super) fn lower(self) -> Result<PoolSettings, ConfigError> {
        let max_per_tenant = positive("pool.connections_per_tenant", self.connections_per_tenant)?;
        if self.minimum_per_tenant > max_per_tenant {
            return Err(ConfigError(format!(
                "pool.minimum_per_tenant: {} is more than pool.connections_per_tenant, {max_per_tenant}; give less",
                self.minimum_per_tenant
            )));
        }
        if self.connect_seconds == 0 {
            return Err(ConfigError(
                "pool.connect_seconds: 0 would let no server answer in time; give 1 or more".to_owned(),
            ));
        }
        Ok(PoolSettings {
            max_per_cluster: positive("pool.connections_per_cluster", self.connections_per_cluster)?,
            max_per_tenant,
            min_per_tenant: self.minimum_per_tenant,
            adapts: self.adaptive_concurrency,
            wait_timeout: seconds("pool.wait_seconds", self.wait_seconds)?,
            connect_timeout: seconds("pool.connect_seconds", self.connect_seconds)?,
            idle_timeout: seconds("pool.idle_seconds", self.idle_seconds)?,
            max_lifetime: match seconds("pool.lifetime_seconds", self.lifetime_seconds)? {
                Duration::ZERO => LONGEST,
                lifetime => lifetime,
            },
        })
    }
}

/// More than any of them has to be: ten years.
pub(super) const LONGEST: Duration = Duration::from_hours(87_600);

pub(super) fn seconds(key: &str, value: u64) -> Result<Duration, ConfigError> {
    let value = Duration::from_secs(value);
    if value <= LONGEST {
        Ok(value)
    } else {
        Err(ConfigError(format!("{key}: this is more than ten years; give less")))
    }
}

impl Gateway {
    pub(super) fn dials(&self, plaintext: Plaintext) -> Result<DialSettings, ConfigError> {
        Ok(DialSettings {
            session_limits: self.session_limits()?,
            slow_queries: self.slow_queries()?,
            plaintext,
            failed_logins: self.failed_logins,
            pause_patience: seconds("gateway.pause_wait_seconds", self.pause_wait_seconds)?,
        })
    }

    fn slow_queries(&self) -> Result<SlowQueries, ConfigError> {
        let text = match self.slow_query_text.as_str() {
            "full" => true,
            "none" => false,
            other => {
                return Err(ConfigError(format!(
                    "gateway.slow_query_text: {other:?} is unknown; give \"full\" or \"none\""
                )));
            }
        };
        let over = Duration::from_millis(self.slow_query_milliseconds);
        Ok(SlowQueries { over: Some(over).filter(|over| !over.is_zero()), text })
    }

    fn session_limits(&self) -> Result<SessionLimits, ConfigError> {
        Ok(SessionLimits {
            statement: limit("gateway.statement_seconds", self.statement_seconds)?,
            idle_in_transaction: limit("gateway.idle_in_transaction_seconds", self.idle_in_transaction_seconds)?,
            idle: limit("gateway.idle_session_seconds", self.idle_session_seconds)?,
        })
    }
}

/// Of which 0 means none.
pub(super) fn limit(key: &str, value: u64) -> Result<Option<Duration>, ConfigError> {
    seconds(key, value).map(|limit| Some(limit).filter(|limit| !limit.is_zero()))
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLifecycle {
    pub(super) changes_at_once: usize,
}

impl Default for RawLifecycle {
    fn default() -> Self {
        Self { changes_at_once: 8 }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Metrics {
    pub(super) tenants: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { tenants: 50 }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Usage {
    pub(super) keep_days: u32,
}

impl Default for Usage {
    fn default() -> Self {
        Self { keep_days: 90 }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Log {
    pub(super) format: String,
    pub(super) filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: "json".to_owned(), filter: "info".to_owned() }
    }
}
