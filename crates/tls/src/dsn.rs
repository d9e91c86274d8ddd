//! Connection strings (PostgreSQL manual, 34.1.1), with the settings of TLS that the driver does not know.

use std::fs;
use std::net::IpAddr;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::{Connector, Demand, Trust, TrustError};

/// A connection string, read.
#[derive(Debug, Clone)]
pub struct Dsn {
    /// For the driver.
    pub config: Config,
    /// What is asked of the server.
    pub trust: Trust,
}

/// Why a connection string cannot be used. None of them repeats what may be a password.
#[derive(Debug, thiserror::Error)]
pub enum DsnError {
    /// The driver does not understand it. Its words may repeat a piece of the string.
    #[error("the connection string cannot be read")]
    Unreadable(#[source] tokio_postgres::Error),
    /// One of libpq's words that leave it to the server, or none of its.
    #[error("has an sslmode that promises nothing; give disable, require, verify-ca or verify-full")]
    Mode,
    /// `verify-ca` with everybody whom the system trusts, or `require` with them.
    #[error(
        "asks for any certificate that the system trusts, which anybody can have; give sslmode=verify-full, or those of who \
         signs the server's in sslrootcert"
    )]
    Anybody,
    /// A file's name where only the certificates themselves can be, since other processes do not have the file.
    #[error("names a file in sslrootcert; give the PEM itself, as `sindico cluster add` does for you, or system")]
    File,
    /// The file is not there, or not ours to read.
    #[error("names a file in sslrootcert that cannot be read: {0}")]
    Unread(#[from] std::io::Error),
    /// What it names cannot be checked by.
    #[error("names something in sslrootcert of no use: {0}")]
    Trust(#[from] TrustError),
}

/// How settings stand in a string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `postgresql://…?name=value&…`
    Url,
    /// `name=value name='value'`
    Words,
}

/// A string without the settings that are ours.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    form: Form,
    rest: String,
    mode: Option<String>,
    roots: Option<String>,
}

impl Dsn {
    /// Reads a connection string. One that says nothing of TLS demands everything of servers of which one is on another
    /// machine, and nothing where all are on this.
    pub fn read(dsn: &str) -> Result<Self, DsnError> {
        let parts = Parts::of(dsn);
        let mut config: Config = parts.rest.parse().map_err(DsnError::Unreadable)?;
        let demand = match &parts.mode {
            Some(mode) => mode.parse().map_err(|()| DsnError::Mode)?,
            None if is_all_here(&config) && parts.roots.is_none() => Demand::Disable,
            None => Demand::VerifyFull,
        };
        let roots = match parts.roots.as_deref() {
            None | Some("system") => None,
            Some(pem) if is_pem(pem) => Some(pem),
            Some(_) => return Err(DsnError::File),
        };
        let demand = match (demand, roots) {
            // As libpq has it: what passes through no network is not encrypted, whatever the string says.
            _ if is_all_local(&config) => Demand::Disable,
            // As libpq has it: who names them wants them asked for.
            (Demand::Require, Some(_)) => Demand::VerifyCa,
            (Demand::VerifyCa, None) => return Err(DsnError::Anybody),
            (Demand::Require, None) if parts.roots.is_some() => return Err(DsnError::Anybody),
            (demand, _) => demand,
        };
        let trust = Trust::new(demand, roots)?;
        config.ssl_mode(if demand == Demand::Disable { SslMode::Disable } else { SslMode::Require });
        Ok(Self { config, trust })
    }

    /// Puts the content of the file that `sslrootcert` names in the place of its name.
    pub fn inline_roots(dsn: &str) -> Result<String, DsnError> {
        let mut parts = Parts::of(dsn);
        match parts.roots.take() {
            Some(file) if file != "system" && !is_pem(&file) => parts.roots = Some(fs::read_to_string(file)?),
            _ => return Ok(dsn.to_owned()),
        }
        Ok(parts.join())
    }

    /// For the driver, beside [`Dsn::config`].
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector::from(&self.trust)
    }
}

fn is_pem(value: &str) -> bool {
    value.trim_start().starts_with("-----BEGIN")
}

/// Whether all of a connection string's servers are on this machine. Where there is an address, it is what is connected to,
/// whatever the name beside it.
fn is_all_here(config: &Config) -> bool {
    config.get_hosts().iter().all(is_here) && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

/// Whether all of a connection string's servers are reached at Unix sockets. An address is connected to whatever stands
/// beside it.
fn is_all_local(config: &Config) -> bool {
    let hosts = config.get_hosts();
    let local = hosts.iter().all(|host| matches!(host, Host::Unix(_)));
    local && !hosts.is_empty() && config.get_hostaddrs().is_empty()
}

/// Whether a host is this machine: what goes there passes through no network.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        Host::Unix(_) => true,
    }
}

impl Parts {
    fn of(dsn: &str) -> Self {
        if dsn.starts_with("postgres://") || dsn.starts_with("postgresql://") {
            Self::of_url(dsn)
        } else {
            Self::of_words(dsn)
        }
    }

    fn of_url(dsn: &str) -> Self {
        let mut parts = Self { form: Form::Url, rest: String::new(), mode: None, roots: None };
        let Some((before, query)) = dsn.split_once('?') else { return Self { rest: dsn.to_owned(), ..parts } };
        parts.rest.push_str(before);
        let mut between = '?';
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = || percent_decode_str(value).decode_utf8_lossy().into_owned();
            match name {
                "sslmode" => parts.mode = Some(value()),
                "sslrootcert" => parts.roots = Some(value()),
                _ => {
                    parts.rest.push(between);
                    parts.rest.push_str(pair);
                    between = '&';
                }
            }
        }
        parts
    }

    fn of_words(dsn: &str) -> Self {
        let mut parts = Self { form: Form::Words, rest: String::new(), mode: None, roots: None };
        let mut left = dsn;
        while let Some((name, after)) = left.split_once('=') {
            let (value, rest) = word(after.trim_start());
            match name.trim() {
                "sslmode" => parts.mode = Some(value),
                "sslrootcert" => parts.roots = Some(value),
                _ => parts.rest.push_str(left.get(..left.len() - rest.len()).unwrap_or_default()),
            }
            left = rest;
        }
        parts.rest.push_str(left);
        parts
    }

    fn join(self) -> String {
        let Self { form, mut rest, mode, roots } = self;
        for (name, value) in [("sslmode", mode), ("sslrootcert", roots)] {
            let Some(value) = value else { continue };
            match form {
                Form::Url => {
                    let between = if rest.contains('?') { '&' } else { '?' };
                    rest.push_str(&format!("{between}{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC)));
                }
                Form::Words => {
                    rest.push_str(&format!(" {name}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
                }
            }
        }
        rest
    }
}

/// A value as it is meant, and what follows it. Quotes may stand around it, and a backslash before anything.
fn word(text: &str) -> (String, &str) {
    let (quoted, text) = match text.strip_prefix('\'') {
        Some(inner) => (true, inner),
        None => (false, text),
    };
    let (mut value, mut characters) = (String::new(), text.chars());
    loop {
        let rest = characters.as_str();
        match characters.next() {
            None => return (value, ""),
            Some('\\') => value.extend(characters.next()),
            Some('\'') if quoted => return (value, characters.as_str()),
            Some(blank) if !quoted && blank.is_ascii_whitespace() => return (value, rest),
            Some(other) => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem() -> String {
        rcgen::generate_simple_self_signed(["db".to_owned()]).expect("a certificate").cert.pem()
    }

    #[test]
    fn what_is_not_said_is_safe() {
        for (dsn, demand) in [
            ("postgresql://a:b@127.0.0.1:1/x", Demand::Disable),
            ("postgresql://a:b@localhost/x?application_name=y", Demand::Disable),
            ("host=::1 user=a", Demand::Disable),
            ("postgresql://a:b@db/x?sslmode=disable", Demand::Disable),
            ("postgresql://a:b@db/x?sslmode=require&application_name=y", Demand::Require),
            ("host=db sslmode = 'require' user=a", Demand::Require),
            ("host=localhost,127.0.0.1 user=a", Demand::Disable),
            ("host=/run/pg user=a", Demand::Disable),
            ("host=/run/pg user=a sslmode=verify-full", Demand::Disable),
            ("host=/run/pg,db user=a", Demand::VerifyFull),
            ("host=/run/pg hostaddr=10.0.0.5 user=a sslmode=verify-full", Demand::VerifyFull),
            ("hostaddr=10.0.0.5 user=a sslmode=verify-full", Demand::VerifyFull),
            ("host=localhost,db user=a sslmode=require", Demand::Require),
        ] {
            let read = Dsn::read(dsn).expect(dsn);
            assert_eq!(read.trust.demand(), demand, "{dsn}");
            let expected = if demand == Demand::Disable { SslMode::Disable } else { SslMode::Require };
            assert_eq!(read.config.get_ssl_mode(), expected, "{dsn}");
        }
        let with_roots = |dsn: &str| {
            let roots: String = utf8_percent_encode(&pem(), NON_ALPHANUMERIC).to_string();
            Dsn::read(&format!("{dsn}sslrootcert={roots}")).expect(dsn).trust.demand()
        };
        assert_eq!(with_roots("postgresql://a:b@db/x?"), Demand::VerifyFull);
        assert_eq!(with_roots("postgresql://a:b@localhost/x?"), Demand::VerifyFull);
        assert_eq!(with_roots("postgresql://a:b@10.0.0.1/x?sslmode=verify-ca&"), Demand::VerifyCa);
        assert_eq!(with_roots("postgresql://a:b@10.0.0.1/x?sslmode=require&"), Demand::VerifyCa);
        for elsewhere in ["host=localhost,db", "hostaddr=10.0.0.1", "host=localhost hostaddr=10.0.0.1"] {
            let config = elsewhere.parse().expect(elsewhere);
            assert!(!is_all_here(&config), "{elsewhere}");
        }
        for anybody in
            ["sslmode=verify-ca", "sslmode=verify-ca&sslrootcert=system", "sslmode=require&sslrootcert=system"]
        {
            let read = Dsn::read(&format!("postgresql://a:b@db/x?{anybody}"));
            assert!(matches!(read, Err(DsnError::Anybody)), "{anybody}: {read:?}");
        }
        for mode in ["prefer", "allow", "", "REQUIRE"] {
            let read = Dsn::read(&format!("postgresql://a:b@db/x?sslmode={mode}"));
            assert!(matches!(read, Err(DsnError::Mode)), "{mode}: {read:?}");
        }
        let read = Dsn::read("postgresql://a:b@db/x?sslmode=verify-full&sslrootcert=/etc/root.crt");
        assert!(matches!(read, Err(DsnError::File)), "{read:?}");
    }

    #[test]
    fn both_forms_are_read_alike() {
        let expected = |form, rest: &str| Parts {
            form,
            rest: rest.to_owned(),
            mode: Some("verify-full".to_owned()),
            roots: Some("a b'c".to_owned()),
        };
        let url = Parts::of("postgresql://u:p@h/d?sslmode=verify-full&a=b&sslrootcert=a%20b%27c");
        assert_eq!(url, expected(Form::Url, "postgresql://u:p@h/d?a=b"));
        let words = Parts::of(r"sslmode=verify-full host=h password='p =\'x' sslrootcert = 'a b\'c' user=u");
        assert_eq!(words, expected(Form::Words, r" host=h password='p =\'x' user=u"));
    }

    #[test]
    fn a_file_becomes_part_of_the_string() {
        let (dir, pem) = (tempfile::tempdir().expect("a folder"), pem());
        let file = dir.path().join("root's.crt");
        fs::write(&file, &pem).expect("written");
        let quoted = file.display().to_string().replace('\'', "\\'");
        for dsn in [
            format!("postgresql://a:b@db/x?sslrootcert={}", file.display()),
            format!("host=db user=a sslrootcert='{quoted}'"),
        ] {
            let inlined = Dsn::inline_roots(&dsn).expect("a file");
            assert_eq!(Parts::of(&inlined).roots.as_ref(), Some(&pem), "{inlined}");
            let read = Dsn::read(&inlined).expect("with its roots");
            assert_eq!(read.trust, Trust::new(Demand::VerifyFull, Some(&pem)).expect("the same"));
            assert_eq!(Dsn::inline_roots(&inlined).expect("nothing to do"), inlined);
        }
        assert!(Dsn::inline_roots("postgresql://a:b@db/x?sslrootcert=/nowhere/at/all").is_err());
    }
}
