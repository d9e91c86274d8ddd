//! What a client asks for in its startup message (PostgreSQL manual, 55.7, `StartupMessage`, and 20.1.3).
//!
//! Settings become defaults of a server session, below anything that SQL can check. So only those come through that every
//! session may SET, that drivers and frameworks are known to send, and that change neither what a text means nor how long
//! a connection lives that others will use; the rest is refused by name rather than dropped, so that nobody believes
//! it in force.

use std::collections::BTreeMap;
use std::str::FromStr;

use domain::{PoolMode, Pooling};
use pool::SessionParams;
use wire::startup::Startup;

use crate::fault::Fault;

/// Settings that a client may choose, in PostgreSQL's spelling.
const ALLOWED: [&str; 18] = [
    "application_name",
    "client_encoding",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "extra_float_digits",
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "bytea_output",
    "client_min_messages",
    "default_transaction_deferrable",
    "default_transaction_isolation",
    "default_transaction_read_only",
    "jit",
    "plan_cache_mode",
    "synchronous_commit",
    "work_mem",
];

/// Settings that are real and often asked for, and why not here.
const REFUSED: [(&str, &str); 4] = [
    ("replication", "Tenants have no replication connections; leave it out."),
    ("search_path", "It already leads to the tenant's tables; write SET search_path after connecting to change it."),
    ("role", "A connection is always its tenant's own role; leave it out."),
    ("session_authorization", "A connection is always its tenant's own role; leave it out."),
];

/// What the setting of [`PoolMode`] is called at startup.
const POOL_MODE: &str = "sindico.pool_mode";

/// What the setting of [`Pooling`] is called at startup.
pub(crate) const POOLING: &str = "sindico.pooling";

/// What a client proves itself by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Auth {
    /// One of the tenant's keys, which SCRAM does not show.
    #[default]
    Key,
    /// A token, which is shown.
    Token,
}

impl Auth {
    /// What the setting is called at startup.
    pub(crate) const NAME: &str = "sindico.auth";
}

impl FromStr for Auth {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "scram" => Ok(Self::Key),
            "jwt" => Ok(Self::Token),
            _ => Err(()),
        }
    }
}

/// What names the tenant where the user name does not.
const TENANT: &str = "sindico.tenant";

/// A startup message, understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Who it says it is.
    pub(crate) user: String,
    /// Which app; the user's name when it does not say, as in PostgreSQL.
    pub(crate) database: String,
    /// Which tenant it names besides, if it does.
    pub(crate) tenant: Option<String>,
    /// Its settings.
    pub(crate) params: SessionParams,
    /// How it wants to be pooled, if it says.
    pub(crate) pool_mode: Option<PoolMode>,
    /// On which connections, if it says.
    pub(crate) pooling: Option<Pooling>,
    /// What it proves itself by.
    pub(crate) auth: Auth,
}

/// Understands a startup message or says which part of it not.
pub(crate) fn understand(startup: &Startup) -> Result<Request, Fault> {
    let given = |name: &str| startup.parameters.get(name).filter(|value| !value.is_empty());
    let user = given("user")
        .ok_or_else(|| Fault::new("28000", "the client gave no user name", "The user name is the tenant's slug."))?;
    let database = given("database").unwrap_or(user);

    let (mut params, mut own) = (BTreeMap::new(), Own::default());
    if let Some(options) = given("options") {
        for (name, value) in switches(options)? {
            if !own.take(&name, &value)? {
                params.extend(setting(&name, &value)?);
            }
        }
    }
    // After the switches, because PostgreSQL has settings of their own prevail over them.
    for (name, value) in &startup.parameters {
        if matches!(name.as_str(), "user" | "database" | "options") || name.starts_with("_pq_.") {
            continue;
        }
        if !own.take(name, value)? {
            params.extend(setting(name, value)?);
        }
    }
    let params = params.into_iter().collect();
    let Own { pool_mode, pooling, tenant, auth } = own;
    Ok(Request { user: user.clone(), database: database.clone(), tenant, params, pool_mode, pooling, auth })
}

/// What a client may say to síndico itself.
#[derive(Debug, Default)]
struct Own {
    pool_mode: Option<PoolMode>,
    pooling: Option<Pooling>,
    tenant: Option<String>,
    auth: Auth,
}

impl Own {
    /// Takes a setting if it is one of these. A later one prevails, but a client cannot be two tenants.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, Fault> {
        if name.eq_ignore_ascii_case(POOL_MODE) {
            self.pool_mode = Some(word(POOL_MODE, value, "\"transaction\" or \"session\"")?);
        } else if name.eq_ignore_ascii_case(POOLING) {
            self.pooling = Some(word(POOLING, value, "\"own\" or \"dense\"")?);
        } else if name.eq_ignore_ascii_case(Auth::NAME) {
            self.auth = word(Auth::NAME, value, "\"scram\" or \"jwt\"")?;
        } else if name.eq_ignore_ascii_case(TENANT) {
            if self.tenant.replace(value.to_owned()).is_some_and(|earlier| earlier != value) {
                return Err(Fault::new(
                    "28000",
                    format!("{TENANT} is given twice and names two tenants"),
                    "Give it once, as a parameter of its own or in options.",
                ));
            }
        } else {
            return Ok(false);
        }
        Ok(true)
    }
}

/// One of síndico's own settings, which are one of two words.
fn word<T: FromStr>(name: &str, value: &str, possible: &str) -> Result<T, Fault> {
    value.parse().map_err(|_| {
        let shown: String = value.chars().take(63).collect();
        Fault::new("22023", format!("{name} {shown:?} is not known here"), format!("Give {possible}."))
    })
}

/// One setting in PostgreSQL's spelling, if it may be chosen; `None` for one that changes nothing.
fn setting(name: &str, value: &str) -> Result<Option<(&'static str, String)>, Fault> {
    if let Some(allowed) = ALLOWED.into_iter().find(|allowed| allowed.eq_ignore_ascii_case(name)) {
        let value = if allowed == "client_encoding" { encoding(value)?.to_owned() } else { value.to_owned() };
        return Ok(Some((allowed, value)));
    }
    // JDBC's currentSchema arrives so, and what a client means by it is on the path already.
    if name.eq_ignore_ascii_case("search_path") && matches!(value.trim(), "public" | "\"public\"") {
        return Ok(None);
    }
    let shown: String = name.chars().take(63).collect();
    if let Some((_, hint)) = REFUSED.into_iter().find(|(refused, _)| refused.eq_ignore_ascii_case(name)) {
        return Err(Fault::new("0A000", format!("startup parameter {shown:?} is not supported here"), hint));
    }
    Err(Fault::new(
        "42704",
        format!("startup parameter {shown:?} is not one that a client may choose"),
        format!("Leave it out, or SET it after connecting. These are possible: {}.", ALLOWED.join(", ")),
    ))
}

/// UTF-8 under the names that drivers have for it, or no conversion, which PostgreSQL calls `SQL_ASCII`.
fn encoding(value: &str) -> Result<&'static str, Fault> {
    let letters: String = value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    match letters.as_str() {
        "utf8" | "unicode" => Ok("UTF8"),
        "sqlascii" => Ok("SQL_ASCII"),
        _ => {
            let shown: String = value.chars().take(63).collect();
            Err(Fault::new(
                "22023",
                format!("client_encoding {shown:?} is not supported here"),
                "Connect with client_encoding=UTF8.",
            ))
        }
    }
}

/// Reads the `options` parameter: words as a shell-less PostgreSQL splits them, of which `-c name=value` and
/// `--name=value` are settings.
fn switches(options: &str) -> Result<Vec<(String, String)>, Fault> {
    let refuse = |word: &str| {
        let shown: String = word.chars().take(63).collect();
        Fault::new(
            "0A000",
            format!("{shown:?} in the startup parameter \"options\" is not supported here"),
            "Only settings are possible, as \"-c name=value\" or \"--name=value\".",
        )
    };
    let mut settings = Vec::new();
    let mut words = split_words(options).into_iter();
    while let Some(word) = words.next() {
        let assignment = if word == "-c" {
            words.next().ok_or_else(|| refuse(&word))?
        } else if let Some(rest) = word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            rest.to_owned()
        } else {
            return Err(refuse(&word));
        };
        let (name, value) = assignment.split_once('=').ok_or_else(|| refuse(&assignment))?;
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

/// Words are parted by blanks; a backslash takes the next character as it is.
fn split_words(options: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = options.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => word.get_or_insert_default().extend(characters.next()),
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(parameters: &[(&str, &str)]) -> Result<Request, Fault> {
        let parameters = parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        understand(&Startup { minor: 0, parameters })
    }

    fn refusal(parameters: &[(&str, &str)]) -> (String, String) {
        let fault = ask(parameters).expect_err("a refusal");
        assert!(!fault.hint.is_empty());
        (fault.sqlstate.into_owned(), fault.message)
    }

    #[test]
    fn what_drivers_send_comes_through_in_one_spelling() {
        let request = ask(&[
            ("user", "happy-paws"),
            ("client_encoding", "'utf-8'"),
            ("datestyle", "ISO, MDY"),
            ("TIMEZONE", "America/Sao_Paulo"),
            ("extra_float_digits", "2"),
            ("application_name", ""),
            ("_pq_.protocol_extension", "x"),
        ])
        .expect("a request");
        assert_eq!((request.user.as_str(), request.database.as_str()), ("happy-paws", "happy-paws"));
        let params: Vec<_> = request.params.iter().collect();
        assert_eq!(
            params,
            [
                ("DateStyle", "ISO, MDY"),
                ("TimeZone", "America/Sao_Paulo"),
                ("application_name", ""),
                ("client_encoding", "UTF8"),
                ("extra_float_digits", "2"),
            ]
        );
    }

    #[test]
    fn options_are_settings_like_the_others_and_yield_to_them() {
        let options = r"-c statement_timeout=5s  --lock-timeout=1 -cTimeZone=UTC --application-name=my\ till";
        let request = ask(&[("user", "a"), ("options", options), ("TimeZone", "Europe/Lisbon")]).expect("a request");
        for (name, value) in [
            ("statement_timeout", "5s"),
            ("lock_timeout", "1"),
            ("TimeZone", "Europe/Lisbon"),
            ("application_name", "my till"),
        ] {
            assert_eq!(request.params.get(name), Some(value), "{name}");
        }
    }

    #[test]
    fn a_tenant_is_named_once() {
        let named = |parameters: &[(&str, &str)]| ask(parameters).expect("a request").tenant;
        assert_eq!(named(&[("user", "till")]), None);
        assert_eq!(named(&[("user", "till"), ("Sindico.Tenant", "paws")]).as_deref(), Some("paws"));
        assert_eq!(named(&[("user", "till"), ("options", "-c sindico.tenant=paws")]).as_deref(), Some("paws"));
        let twice = |other| [("user", "a"), ("options", "--sindico.tenant=paws"), ("sindico.tenant", other)];
        assert_eq!(named(&twice("paws")).as_deref(), Some("paws"));
        assert_eq!(refusal(&twice("claws")).0, "28000");
    }

    #[test]
    fn a_client_says_what_it_proves_itself_by() {
        let auth = |parameters: &[(&str, &str)]| ask(parameters).expect("a request").auth;
        assert_eq!(auth(&[("user", "a")]), Auth::Key);
        assert_eq!(auth(&[("user", "a"), ("sindico.auth", "scram")]), Auth::Key);
        assert_eq!(auth(&[("user", "a"), ("Sindico.Auth", "jwt")]), Auth::Token);
        assert_eq!(auth(&[("user", "a"), ("options", "-c sindico.auth=jwt")]), Auth::Token);
        for other in ["", "JWT", "none", "trust"] {
            assert_eq!(refusal(&[("user", "a"), ("sindico.auth", other)]).0, "22023", "{other}");
        }
    }

    #[test]
    fn the_apps_own_schema_may_be_named() {
        for value in ["public", " \"public\""] {
            assert!(ask(&[("user", "a"), ("search_path", value)]).is_ok(), "{value}");
        }
        refusal(&[("user", "a"), ("search_path", "public, pg_temp")]);
    }

    #[test]
    fn everything_else_is_refused_by_name() {
        for name in ["replication", "search_path", "role", "Session_Authorization"] {
            let (sqlstate, message) = refusal(&[("user", "a"), (name, "x")]);
            assert!(sqlstate == "0A000" && message.contains(name), "{message}");
            let option = format!("-c {name}=x");
            let (sqlstate, message) = refusal(&[("user", "a"), ("options", &option)]);
            assert!(sqlstate == "0A000" && message.contains(name), "{message}");
        }
        for name in [
            "row_security",
            "session_preload_libraries",
            "sindico.token",
            "is_superuser",
            "standard_conforming_strings",
        ] {
            let (sqlstate, message) = refusal(&[("user", "a"), (name, "x")]);
            assert!(sqlstate == "42704" && message.contains(name), "{message}");
        }
        for options in ["-e", "-c", "-c role", "--", "-d 5", "-W 1", "stray", "-c search\\_path=x", "--search-path=x"] {
            refusal(&[("user", "a"), ("options", options)]);
        }
        assert_eq!(refusal(&[("user", "a"), ("client_encoding", "SJIS")]).0, "22023");
        assert_eq!(refusal(&[("database", "petshop")]).0, "28000");
    }
}
