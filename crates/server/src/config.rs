//! `sindico.toml`: the raw sections, and the validated values that they become before any socket opens.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use catalog::MasterKey;
use gateway::{
    Certificates, ConfigEntry, DialSettings, Plaintext, PoolMode, Pooling, SessionLimits, SlowQueries, Zone,
};
use pool::PoolSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tenancy::{TokenSettings, Tokens};

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
    pub(crate) changes_at_once: usize,
    pub(crate) pool: PoolSettings,
    pub(crate) log_format: LogFormat,
    pub(crate) log_filter: String,
    entries: Vec<ConfigEntry>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    control: Control,
    secrets: Secrets,
    #[serde(default)]
    api: Api,
    #[serde(default)]
    gateway: Gateway,
    #[serde(default)]
    pool: RawPool,
    #[serde(default)]
    lifecycle: RawLifecycle,
    #[serde(default)]
    metrics: Metrics,
    #[serde(default)]
    log: Log,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Control {
    dsn: String,
    #[serde(default = "control_connections")]
    max_connections: u32,
}

const fn control_connections() -> u32 {
    32
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Secrets {
    master_key_file: PathBuf,
    admin_token_file: PathBuf,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Api {
    listen: String,
}

impl Default for Api {
    fn default() -> Self {
        Self { listen: "127.0.0.1:6433".to_owned() }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Gateway {
    listen: String,
    public_host: String,
    public_port: Option<u16>,
    max_clients: usize,
    connections_per_tenant: usize,
    pause_wait_seconds: u64,
    pool_mode: String,
    statement_seconds: u64,
    idle_in_transaction_seconds: u64,
    idle_session_seconds: u64,
    slow_query_milliseconds: u64,
    slow_query_text: String,
    plaintext: String,
    zone: Option<String>,
    failed_logins: u32,
    tls: Option<Tls>,
    jwt: Option<Jwt>,
    pooling: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Tls {
    certificate_file: PathBuf,
    key_file: PathBuf,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Jwt {
    issuer: String,
    audience: String,
    keys_file: PathBuf,
    #[serde(default = "tenant_claim")]
    tenant_claim: String,
    #[serde(default = "access_claim")]
    access_claim: String,
    #[serde(default = "leeway_seconds")]
    leeway_seconds: u64,
    #[serde(default = "grace_seconds")]
    grace_seconds: u64,
}

fn tenant_claim() -> String {
    "tenant".to_owned()
}

fn access_claim() -> String {
    "access".to_owned()
}

const fn leeway_seconds() -> u64 {
    5
}

const fn grace_seconds() -> u64 {
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
struct RawPool {
    connections_per_cluster: usize,
    connections_per_tenant: usize,
    minimum_per_tenant: usize,
    wait_seconds: u64,
    connect_seconds: u64,
    idle_seconds: u64,
    lifetime_seconds: u64,
}

impl Default for RawPool {
    fn default() -> Self {
        Self {
            connections_per_cluster: 80,
            connections_per_tenant: 100,
            minimum_per_tenant: 1,
            wait_seconds: 15,
            connect_seconds: 5,
            idle_seconds: 300,
            lifetime_seconds: 3600,
        }
    }
}

impl RawPool {
    fn lower(self) -> Result<PoolSettings, ConfigError> {
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
const LONGEST: Duration = Duration::from_hours(87_600);

fn seconds(key: &str, value: u64) -> Result<Duration, ConfigError> {
    let value = Duration::from_secs(value);
    if value <= LONGEST {
        Ok(value)
    } else {
        Err(ConfigError(format!("{key}: this is more than ten years; give less")))
    }
}

impl Gateway {
    fn dials(&self, plaintext: Plaintext) -> Result<DialSettings, ConfigError> {
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
fn limit(key: &str, value: u64) -> Result<Option<Duration>, ConfigError> {
    seconds(key, value).map(|limit| Some(limit).filter(|limit| !limit.is_zero()))
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct RawLifecycle {
    changes_at_once: usize,
}

impl Default for RawLifecycle {
    fn default() -> Self {
        Self { changes_at_once: 8 }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Metrics {
    tenants: usize,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { tenants: 50 }
    }
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
struct Log {
    format: String,
    filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: "json".to_owned(), filter: "info".to_owned() }
    }
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
            pool_mode: raw.gateway.pool_mode.parse().map_err(|()| {
                let mode = &raw.gateway.pool_mode;
                ConfigError(format!("gateway.pool_mode: {mode:?} is unknown; give \"transaction\" or \"session\""))
            })?,
            pooling: raw.gateway.pooling.parse().map_err(|()| {
                let pooling = &raw.gateway.pooling;
                ConfigError(format!("gateway.pooling: {pooling:?} is unknown; give \"own\" or \"dense\""))
            })?,
            connections_per_tenant: positive("gateway.connections_per_tenant", raw.gateway.connections_per_tenant)?,
            metric_tenants: raw.metrics.tenants,
            changes_at_once: positive("lifecycle.changes_at_once", raw.lifecycle.changes_at_once)?,
            pool: raw.pool.lower()?,
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

/// The sections as they were read, so that no key is forgotten. Secrets are in files, of which the names are told, and in the
/// control database's DSN, of which the password is not.
fn entries(raw: &Raw) -> Result<Vec<ConfigEntry>, ConfigError> {
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
const CHANGEABLE: [&str; 11] = [
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
mod tests {
    use super::*;

    const MINIMAL: &str = "[control]\ndsn = \"postgresql://a:b@db/sindico\"\n\
        [secrets]\nmaster_key_file = \"master\"\nadmin_token_file = \"token\"\n";

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("master"), format!("{}\n", "ab".repeat(32))).expect("written");
        fs::write(dir.path().join("token"), "t".repeat(32)).expect("written");
        dir
    }

    #[test]
    fn control_database_and_secrets_are_enough() {
        let dir = folder();
        let config = Config::parse(MINIMAL, dir.path()).expect("a configuration");
        assert_eq!(config.gateway_listen.port(), 6432);
        assert_eq!(config.connections_per_tenant, 100);
    }

    #[test]
    fn every_key_is_told_and_no_secret() {
        let dir = folder();
        let text = MINIMAL.replace("db/sindico", "db/sindico?password=c");
        let config = Config::parse(&format!("{text}[gateway]\nslow_query_milliseconds = 250\n"), dir.path());
        let config = config.expect("a configuration");
        let over = config.dials.slow_queries.over;
        assert_eq!(over, Some(Duration::from_millis(250)));
        let entries = config.entries();
        let value = |key: &str| entries.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str());
        for (key, expected) in [
            ("control.dsn", "postgresql://a@db/sindico"),
            ("secrets.master_key_file", "master"),
            ("gateway.slow_query_milliseconds", "250"),
            ("gateway.slow_query_text", "full"),
            ("gateway.idle_session_seconds", "0"),
            ("gateway.jwt", ""),
            ("pool.lifetime_seconds", "3600"),
            ("log.filter", "info"),
        ] {
            assert_eq!(value(key), Some(expected), "{key}");
        }
        for key in CHANGEABLE {
            let entry = entries.iter().find(|entry| entry.key == key);
            assert!(entry.is_some_and(|entry| entry.changeable), "{key}");
        }
        let secrets = ["ab".repeat(32), "t".repeat(32), "password".to_owned()];
        assert!(!entries.iter().any(|entry| secrets.iter().any(|secret| entry.value.contains(secret))));
    }

    #[test]
    fn off_loopback_the_gateway_needs_a_certificate_or_an_explicit_word() {
        let dir = folder();
        let made = rcgen::generate_simple_self_signed(["db.example".to_owned()]).expect("a certificate");
        fs::write(dir.path().join("cert.pem"), made.cert.pem()).expect("written");
        fs::write(dir.path().join("key.pem"), made.signing_key.serialize_pem()).expect("written");
        let tls = "[gateway.tls]\ncertificate_file = \"cert.pem\"\nkey_file = \"key.pem\"\n";
        let read = |more: &str| Config::parse(&format!("{MINIMAL}[gateway]\n{more}"), dir.path());
        let config = read(&format!("listen = \"0.0.0.0:6432\"\n{tls}")).expect("with a certificate");
        assert!(config.certificates.is_some() && config.dials.plaintext == Plaintext::Loopback);
        read("listen = \"0.0.0.0:6432\"\nplaintext = \"anywhere\"").expect("with an explicit word");
        read(&format!("plaintext = \"nowhere\"\n{tls}")).expect("encrypted on loopback as well");
        read("listen = \"0.0.0.0:6432\"").expect_err("with neither");
        assert!(read(&format!("zone = \"db.example\"\n{tls}")).expect("a zone").zone.is_some());
        let jwt = "[gateway.jwt]\nissuer = \"i\"\naudience = \"a\"\nkeys_file = \"keys.json\"\n";
        let ed25519 = "{\"keys\": [{\"kty\": \"OKP\", \"crv\": \"Ed25519\", \"x\": \"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
        for (keys, more, named) in [
            (ed25519, "leeway_seconds = 600", "gateway.jwt.leeway_seconds"),
            (ed25519, "tenant_claim = \"\"", "gateway.jwt.tenant_claim"),
            (ed25519, "algorithm = \"HS256\"", "algorithm"),
            ("{\"keys\": []}", "", "gateway.jwt.keys_file"),
        ] {
            fs::write(dir.path().join("keys.json"), keys).expect("written");
            let error = read(&format!("{tls}{jwt}{more}")).expect_err(named).to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
        fs::write(dir.path().join("keys.json"), ed25519).expect("written");
        assert!(read(&format!("{tls}{jwt}")).expect("with an issuer").tokens.is_some());
        let error = read(jwt).expect_err("tokens in the clear").to_string();
        assert!(error.starts_with("gateway.jwt:"), "{error}");
        let error = read(&format!("zone = \".example\"\n{tls}")).expect_err("no domain").to_string();
        assert!(error.starts_with("gateway.zone"), "{error}");
    }

    #[test]
    fn every_fault_names_its_key() {
        let dir = folder();
        for (more, named) in [
            ("[gateway]\nlisten = \"0.0.0.0:1\"", "gateway.listen"),
            ("[api]\nlisten = \"here\"", "api.listen"),
            ("[gateway]\nmax_client = 3", "max_client"),
            ("[gateway]\nmax_clients = 0", "gateway.max_clients"),
            ("[gateway]\npool_mode = \"statement\"", "gateway.pool_mode"),
            ("[gateway]\nplaintext = \"everywhere\"", "gateway.plaintext"),
            ("[gateway]\nplaintext = \"nowhere\"", "gateway.plaintext"),
            ("[gateway]\nzone = \"db.example\"", "gateway.zone"),
            ("[gateway]\nfailed_logins = -1", "failed_logins"),
            ("[gateway.tls]\ncertificate_file = \"none\"\nkey_file = \"none\"", "gateway.tls.certificate_file"),
            ("[gateway.tls]\ncertificate_file = \"master\"\nkey_file = \"master\"", "gateway.tls.certificate_file"),
            ("[gateway.tls]\ncertificate_file = \"master\"", "key_file"),
            ("[gateway]\npooling = \"loose\"", "gateway.pooling"),
            ("[lifecycle]\nchanges_at_once = 100", "control.max_connections"),
            ("[log]\nformat = \"xml\"", "log.format"),
            ("[log]\nfilter = \"gateway=loud\"", "log.filter"),
            ("[metrics]\ntenant = 3", "tenant"),
            ("[pool]\nidle_seconds = \"long\"", "idle_seconds"),
            ("[pool]\nlifetime_seconds = 1_000_000_000_000", "pool.lifetime_seconds"),
            ("[gateway]\nstatement_seconds = 1_000_000_000_000", "gateway.statement_seconds"),
            ("[gateway]\nslow_query_text = \"some\"", "gateway.slow_query_text"),
            ("[gateway]\nslow_query_milliseconds = \"1s\"", "slow_query_milliseconds"),
            ("[pool]\nconnect_seconds = 0", "pool.connect_seconds"),
            ("[pool]\nconnections_per_tenant = 0", "pool.connections_per_tenant"),
            ("[pool]\nconnections_per_tenant = 2\nminimum_per_tenant = 3", "pool.minimum_per_tenant"),
        ] {
            let error = Config::parse(&format!("{MINIMAL}{more}"), dir.path()).expect_err(more).to_string();
            assert!(error.contains(named), "{more}: {error}");
        }
        for dsn in ["", "db", "host=db user=a", "mysql://a:b@db/sindico"] {
            let error = Config::parse(&MINIMAL.replace("postgresql://a:b@db/sindico", dsn), dir.path());
            let error = error.expect_err(dsn).to_string();
            assert!(error.starts_with("control.dsn"), "{dsn}: {error}");
        }
        fs::write(dir.path().join("token"), "short").expect("written");
        let error = Config::parse(MINIMAL, dir.path()).expect_err("a short token").to_string();
        assert!(error.contains("secrets.admin_token_file"), "{error}");
    }
}
