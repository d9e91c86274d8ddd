//! `sindico.toml`: the raw sections, and the validated values that they become before any socket opens.

mod backups;
mod entries;
mod mail;
mod raw;
mod warm_pool;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use catalog::MasterKey;
use domain::{PoolMode, Pooling};
use gateway::{Certificates, ConfigEntry, DialSettings, Plaintext, Zone};
use lifecycle::{BackupSettings, LetterSettings, WarmPool};
use pool::PoolSettings;
use tenancy::{TokenSettings, Tokens};

use self::entries::entries;
pub(crate) use self::mail::of_folder as mail_into;
use self::raw::{Gateway, Raw, Tls, seconds};
pub(crate) use self::warm_pool::of_size as warm_pool_of;
use crate::logging::LogFormat;

/// A configuration that cannot be right. The text names the key.
#[derive(Debug)]
pub(crate) struct ConfigError(String);

impl std::fmt::Display for ConfigError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// What `sindico serve` needs, checked.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) control_dsn: String,
    pub(crate) control_connections: u32,
    pub(crate) master: MasterKey,
    pub(crate) admin_token: String,
    pub(crate) api_listen: SocketAddr,
    pub(crate) gateway_listen: SocketAddr,
    pub(crate) certificates: Option<Certificates>,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) dials: DialSettings,
    pub(crate) zone: Option<Zone>,
    /// What connection strings name: where clients reach the gateway.
    pub(crate) gateway_public: (String, Option<u16>),
    pub(crate) max_clients: usize,
    pub(crate) pool_mode: PoolMode,
    pub(crate) pooling: Pooling,
    pub(crate) connections_per_tenant: usize,
    pub(crate) metric_tenants: usize,
    pub(crate) usage_days: u32,
    pub(crate) changes_at_once: usize,
    pub(crate) pool: PoolSettings,
    pub(crate) backups: BackupSettings,
    pub(crate) warm_pool: WarmPool,
    pub(crate) letters: Option<LetterSettings>,
    pub(crate) log_format: LogFormat,
    pub(crate) log_filter: String,
    entries: Vec<ConfigEntry>,
}

impl Config {
    /// Reads and checks a file, and the secrets that it points to.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|error| {
            ConfigError(format!("cannot read {}: {error}; docs/configuration.md has an example", path.display()))
        })?;
        let base = path.parent().unwrap_or(Path::new("."));
        Self::parse(&text, base).map_err(|ConfigError(why)| ConfigError(format!("{}: {why}", path.display())))
    }

    fn parse(text: &str, base: &Path) -> Result<Self, ConfigError> {
        let raw: Raw = read_toml(text)?;
        let master = secret(base, "secrets.master_key_file", &raw.secrets.master_key_file)?;
        let admin_token = secret(base, "secrets.admin_token_file", &raw.secrets.admin_token_file)?;
        if admin_token.len() < 32 {
            return Err(ConfigError(
                "secrets.admin_token_file: the token is shorter than 32 characters; make one with `openssl rand -hex 32`"
                    .to_owned(),
            ));
        }
        is_url(&raw.control.dsn)?;
        let certificates = raw.gateway.tls.as_ref().map(|tls| certificates(base, tls)).transpose()?;
        let tokens = tokens(base, &raw.gateway)?;
        let plaintext = plaintext(&raw.gateway.plaintext, certificates.is_some())?;
        let zone = zone(&raw.gateway)?;
        let dials = raw.gateway.dials(plaintext)?;
        let entries = entries(&raw)?;
        let gateway_listen = gateway_listen(&raw.gateway.listen, plaintext, certificates.is_some())?;
        // Each change holds one connection and needs another; one more listens for announcements.
        let needed =
            u32::try_from(raw.lifecycle.changes_at_once).unwrap_or(u32::MAX).saturating_mul(2).saturating_add(4);
        if raw.control.max_connections < needed {
            return Err(ConfigError(format!(
                "control.max_connections: {} is too few for lifecycle.changes_at_once = {}; give {needed} or more",
                raw.control.max_connections, raw.lifecycle.changes_at_once
            )));
        }
        Ok(Self {
            control_dsn: raw.control.dsn,
            control_connections: raw.control.max_connections,
            master: MasterKey::from_hex(&master)
                .map_err(|error| ConfigError(format!("secrets.master_key_file: {error}")))?,
            admin_token,
            api_listen: loopback("api.listen", &raw.api.listen)?,
            gateway_listen,
            certificates,
            tokens,
            dials,
            zone,
            gateway_public: (raw.gateway.public_host, raw.gateway.public_port),
            max_clients: positive("gateway.max_clients", raw.gateway.max_clients)?,
            pool_mode: raw
                .gateway
                .pool_mode
                .parse()
                .map_err(|error| ConfigError(format!("gateway.pool_mode: {error}")))?,
            pooling: raw.gateway.pooling.parse().map_err(|error| ConfigError(format!("gateway.pooling: {error}")))?,
            connections_per_tenant: positive("gateway.connections_per_tenant", raw.gateway.connections_per_tenant)?,
            metric_tenants: raw.metrics.tenants,
            usage_days: days("usage.keep_days", raw.usage.keep_days)?,
            changes_at_once: positive("lifecycle.changes_at_once", raw.lifecycle.changes_at_once)?,
            pool: raw.pool.lower()?,
            backups: raw.backups.lower(base)?,
            warm_pool: raw.warm_pool.lower()?,
            letters: raw.mail.map(|mail| mail.lower(base)).transpose()?,
            log_format: match raw.log.format.as_str() {
                "json" => LogFormat::Json,
                "text" => LogFormat::Text,
                other => {
                    return Err(ConfigError(format!("log.format: {other:?} is unknown; give \"json\" or \"text\"")));
                }
            },
            log_filter: log_filter(raw.log.filter)?,
            entries,
        })
    }
}

impl Config {
    /// Every setting by its name, as it was read or is without being said. Those that [`crate::reload`] changes are marked.
    pub(crate) fn entries(&self) -> Vec<ConfigEntry> {
        self.entries.clone()
    }
}

fn log_filter(filter: String) -> Result<String, ConfigError> {
    crate::logging::parse(&filter).map_err(ConfigError)?;
    Ok(filter)
}

/// Not the errors' own display: it repeats the line, which may hold a password.
fn read_toml(text: &str) -> Result<Raw, ConfigError> {
    let told = |key: &str, error: &toml::de::Error| {
        let before = error.span().map_or("", |span| text.get(..span.start).unwrap_or_default());
        ConfigError(format!("line {}, {key}{}", before.matches('\n').count() + 1, error.message()))
    };
    let reader = toml::Deserializer::parse(text).map_err(|error| told("", &error))?;
    serde_path_to_error::deserialize(reader).map_err(|error| told(&format!("{}: ", error.path()), error.inner()))
}

fn secret(base: &Path, key: &str, file: &Path) -> Result<String, ConfigError> {
    let path = base.join(file);
    let text = fs::read_to_string(&path)
        .map_err(|error| ConfigError(format!("{key}: cannot read {}: {error}", path.display())))?;
    Ok(text.trim().to_owned())
}

/// Only the form: what is in it, the control database's driver judges. The text is not repeated, it holds a password.
fn is_url(dsn: &str) -> Result<(), ConfigError> {
    match reqwest::Url::parse(dsn) {
        Ok(url) if ["postgres", "postgresql"].contains(&url.scheme()) => Ok(()),
        _ => Err(ConfigError(
            "control.dsn: this is no connection string; write \"postgresql://user:password@host:5432/sindico\""
                .to_owned(),
        )),
    }
}

fn positive(key: &str, value: usize) -> Result<usize, ConfigError> {
    if value > 0 { Ok(value) } else { Err(ConfigError(format!("{key}: 0 would let nobody in; give 1 or more"))) }
}

/// A span of days that is not none, and not longer than anybody means.
fn days(key: &str, value: u32) -> Result<u32, ConfigError> {
    if (1..=MOST_DAYS).contains(&value) {
        return Ok(value);
    }
    Err(ConfigError(format!("{key}: {value} is out of range; give 1 to {MOST_DAYS} days")))
}

/// Ten years.
const MOST_DAYS: u32 = 3_650;

fn address(key: &str, value: &str) -> Result<SocketAddr, ConfigError> {
    value
        .parse()
        .map_err(|_| ConfigError(format!("{key}: {value:?} is no address; give one such as \"127.0.0.1:6432\"")))
}

/// The API speaks no TLS, so it may not be reached from another machine.
fn loopback(key: &str, value: &str) -> Result<SocketAddr, ConfigError> {
    let address = address(key, value)?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(ConfigError(format!(
        "{key}: {address} can be reached from other machines, and the API speaks no TLS; listen on 127.0.0.1 and reach it \
         through a TLS proxy"
    )))
}

fn certificates(base: &Path, tls: &Tls) -> Result<Certificates, ConfigError> {
    Certificates::read(base.join(&tls.certificate_file), base.join(&tls.key_file))
        .map_err(|error| ConfigError(format!("gateway.tls.{error}")))
}

/// More would keep tokens good long after their issuer has meant it.
const MOST_LEEWAY: u64 = 300;

/// What judges clients' tokens. They come by TLS alone.
fn tokens(base: &Path, gateway: &Gateway) -> Result<Option<Tokens>, ConfigError> {
    let Some(jwt) = &gateway.jwt else { return Ok(None) };
    if gateway.tls.is_none() {
        return Err(ConfigError(
            "gateway.jwt: tokens are taken over TLS only; name a certificate in [gateway.tls]".to_owned(),
        ));
    }
    let texts = [
        ("issuer", &jwt.issuer),
        ("audience", &jwt.audience),
        ("tenant_claim", &jwt.tenant_claim),
        ("access_claim", &jwt.access_claim),
    ];
    if let Some((key, _)) = texts.into_iter().find(|(_, text)| text.is_empty()) {
        return Err(ConfigError(format!("gateway.jwt.{key}: it is empty; give what the issuer's tokens have there")));
    }
    if jwt.leeway_seconds > MOST_LEEWAY {
        return Err(ConfigError(format!(
            "gateway.jwt.leeway_seconds: {} is more than clocks differ; give {MOST_LEEWAY} or less",
            jwt.leeway_seconds
        )));
    }
    let settings = TokenSettings {
        issuer: jwt.issuer.clone(),
        audience: jwt.audience.clone(),
        tenant_claim: jwt.tenant_claim.clone(),
        access_claim: jwt.access_claim.clone(),
        leeway: Duration::from_secs(jwt.leeway_seconds),
        grace: seconds("gateway.jwt.grace_seconds", jwt.grace_seconds)?,
    };
    let tokens = Tokens::read(settings, base.join(&jwt.keys_file));
    tokens.map(Some).map_err(|error| ConfigError(format!("gateway.jwt.keys_file: {error}")))
}

fn plaintext(word: &str, tls: bool) -> Result<Plaintext, ConfigError> {
    let plaintext = word.parse().map_err(|()| {
        ConfigError(format!("gateway.plaintext: {word:?} is unknown; give \"loopback\", \"nowhere\" or \"anywhere\""))
    })?;
    if plaintext == Plaintext::Nowhere && !tls {
        return Err(ConfigError(
            "gateway.plaintext: \"nowhere\" without [gateway.tls] would let nobody in; name certificate_file and \
             key_file there"
                .to_owned(),
        ));
    }
    Ok(plaintext)
}

/// Where host names say which tenant is meant. They come by TLS alone.
fn zone(gateway: &Gateway) -> Result<Option<Zone>, ConfigError> {
    let Some(name) = &gateway.zone else { return Ok(None) };
    if gateway.tls.is_none() {
        return Err(ConfigError(
            "gateway.zone: clients tell the host name that they use by TLS only; name a certificate in [gateway.tls]"
                .to_owned(),
        ));
    }
    let zone: Zone = name.parse().map_err(|error| ConfigError(format!("gateway.zone: {error}")))?;
    Ok(Some(zone.except(&gateway.public_host)))
}

/// Off loopback the gateway needs either a certificate or somebody's word that plain text is meant.
fn gateway_listen(value: &str, plaintext: Plaintext, tls: bool) -> Result<SocketAddr, ConfigError> {
    let address = address("gateway.listen", value)?;
    if address.ip().is_loopback() || tls || plaintext == Plaintext::Anywhere {
        return Ok(address);
    }
    Err(ConfigError(format!(
        "gateway.listen: {address} can be reached from other machines; name a certificate in [gateway.tls], or, where \
         nobody can listen in, say gateway.plaintext = \"anywhere\""
    )))
}

#[cfg(test)]
mod tests;
