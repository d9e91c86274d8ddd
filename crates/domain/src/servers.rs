//! The servers of a cluster, and which of them are to be spoken to.

use std::fmt;
use std::str::FromStr;

/// The parameter of connection strings that chooses between servers (PostgreSQL manual, 34.1.2).
const TARGET: &str = "target_session_attrs";

/// One server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Server {
    /// Name or address; or the folder of a Unix socket, from the root on.
    pub host: String,
    /// TCP port, or the number in the socket's name.
    pub port: u16,
}

/// Which of several servers will do. Tenants' roles can make their own sessions read-only by default, so that is not what
/// is looked at: a server that is no standby is writable, and one that is a standby is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum TargetSession {
    /// Whichever answers.
    #[default]
    Any,
    /// `read-write` or `primary`: not a standby.
    Primary,
    /// `read-only` or `standby`.
    Standby,
    /// A standby if there is one, else whichever answers.
    PreferStandby,
}

/// Why servers cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServersError {
    /// No such choice. It is not repeated: in a connection string that is wrong it may be a piece of a password.
    #[error("{TARGET} has an unknown value; give any, read-write, read-only, primary, standby or prefer-standby")]
    Target,
    /// Not a list of servers.
    #[error("{0:?} is no list of servers; write host:port,host:port")]
    List(String),
}

/// The servers of a cluster, in the order in which they are tried: one at least.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Servers {
    first: Server,
    others: Vec<Server>,
    target: TargetSession,
}

impl Servers {
    /// A cluster of one.
    #[must_use]
    pub fn one(host: impl Into<String>, port: u16) -> Self {
        Self { first: Server { host: host.into(), port }, others: Vec::new(), target: TargetSession::Any }
    }

    /// A cluster of several; `None` of none.
    #[must_use]
    pub fn of(servers: impl IntoIterator<Item = Server>, target: TargetSession) -> Option<Self> {
        let mut servers = servers.into_iter();
        Some(Self { first: servers.next()?, others: servers.collect(), target })
    }

    /// The one that is tried first.
    #[must_use]
    pub fn first(&self) -> &Server {
        &self.first
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.others.len()
    }

    /// Which of them will do.
    #[must_use]
    pub fn target(&self) -> TargetSession {
        self.target
    }

    /// All of them by their numbers, from this number on and then from the beginning.
    pub fn from(&self, number: usize) -> impl Iterator<Item = (usize, &Server)> {
        let all = || std::iter::once(&self.first).chain(&self.others).enumerate();
        all().skip(number).chain(all().take(number))
    }

    /// Reads what [`Servers::host_text`] has written; `port` is that of the only one.
    pub fn read(host: &str, port: u16) -> Result<Self, ServersError> {
        if !host.contains([',', '?']) {
            return Ok(Self::one(host, port));
        }
        let (list, target) = host.split_once(&format!("?{TARGET}=")).unwrap_or((host, "any"));
        let bad = || ServersError::List(host.to_owned());
        let server = |entry: &str| {
            let (host, port) = entry.rsplit_once(':')?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            Some(Server { host: host.to_owned(), port: port.parse().ok()? })
        };
        let servers: Vec<Server> =
            list.split(',').map(|entry| server(entry).ok_or_else(bad)).collect::<Result<_, _>>()?;
        Self::of(servers, target.parse()?).ok_or_else(bad)
    }

    /// The host of the only one, or all as a connection URI has them, with what is asked of them.
    #[must_use]
    pub fn host_text(&self) -> String {
        if self.others.is_empty() && self.target == TargetSession::Any {
            return self.first.host.clone();
        }
        let entry = |(_, Server { host, port }): (usize, &Server)| {
            if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
        };
        let list = self.from(0).map(entry).collect::<Vec<_>>().join(",");
        format!("{list}?{TARGET}={}", self.target)
    }
}

impl TargetSession {
    /// Whether a server will do, of which it is known whether it is a standby.
    #[must_use]
    pub fn accepts(self, standby: bool) -> bool {
        match self {
            Self::Any => true,
            Self::Primary => !standby,
            Self::Standby | Self::PreferStandby => standby,
        }
    }

    /// Takes the choice out of a connection string of either form, and gives what is left of that.
    pub fn take_from(dsn: &str) -> Result<(Self, String), ServersError> {
        let mut target = None;
        let rest = if dsn.starts_with("postgres://") || dsn.starts_with("postgresql://") {
            let Some((address, parameters)) = dsn.split_once('?') else { return Ok((Self::Any, dsn.to_owned())) };
            let mut kept = Vec::new();
            for parameter in parameters.split('&') {
                match parameter.split_once('=') {
                    Some((TARGET, value)) => target = Some(value.to_owned()),
                    _ => kept.push(parameter),
                }
            }
            let mark = if kept.is_empty() { "" } else { "?" };
            format!("{address}{mark}{}", kept.join("&"))
        } else {
            let mut kept = String::new();
            for (name, value, whole) in Pairs(dsn) {
                if name == TARGET {
                    target = Some(value.trim_matches('\'').to_owned());
                } else {
                    kept.push_str(whole);
                }
            }
            kept
        };
        Ok((target.map_or(Ok(Self::Any), |target| target.parse())?, rest))
    }
}

impl FromStr for TargetSession {
    type Err = ServersError;

    fn from_str(text: &str) -> Result<Self, ServersError> {
        match text {
            "any" => Ok(Self::Any),
            "read-write" | "primary" => Ok(Self::Primary),
            "read-only" | "standby" => Ok(Self::Standby),
            "prefer-standby" => Ok(Self::PreferStandby),
            _ => Err(ServersError::Target),
        }
    }
}

impl fmt::Display for TargetSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "any",
            Self::Primary => "primary",
            Self::Standby => "standby",
            Self::PreferStandby => "prefer-standby",
        })
    }
}

/// The pairs of a connection string of the form `name = 'value' …`: name, value as written, and the whole with the blanks
/// behind it. What is no pair comes as one without a name.
struct Pairs<'t>(&'t str);

impl<'t> Iterator for Pairs<'t> {
    type Item = (&'t str, &'t str, &'t str);

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0;
        if text.is_empty() {
            return None;
        }
        let Some((name, behind)) = text.split_once('=') else {
            self.0 = "";
            return Some(("", "", text));
        };
        let value = behind.trim_start();
        let mut escaped = false;
        let quoted = value.starts_with('\'');
        let end = value.char_indices().skip(usize::from(quoted)).find(|&(_, c)| {
            let ends = !escaped && if quoted { c == '\'' } else { c.is_whitespace() };
            escaped = !escaped && c == '\\';
            ends
        });
        let end = end.map_or(value.len(), |(at, c)| if quoted { at + c.len_utf8() } else { at });
        let (value, rest) = value.split_at(end);
        let rest = rest.trim_start();
        let whole = text.strip_suffix(rest).unwrap_or(text);
        self.0 = rest;
        Some((name.trim(), value, whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let one = Servers::one("db", 6000);
        assert_eq!((one.host_text().as_str(), Servers::read("db", 6000)), ("db", Ok(one.clone())));
        assert_eq!(Servers::read("::1", 1), Ok(Servers::one("::1", 1)));
        let servers = ["a", "fe80::1"].map(|host| Server { host: host.to_owned(), port: 5432 });
        for target in ["any", "primary", "standby", "prefer-standby"] {
            let several = Servers::of(servers.clone(), target.parse().expect("known")).expect("two");
            assert_eq!(several.host_text(), format!("a:5432,[fe80::1]:5432?target_session_attrs={target}"));
            assert_eq!(Servers::read(&several.host_text(), 5432), Ok(several));
        }
        for bad in ["a,b", "a:1,b:x", "a:1,", "a:1?target_session_attrs=best"] {
            assert!(Servers::read(bad, 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn all_are_tried_whichever_is_first() {
        let servers = ["a", "b", "c"].map(|host| Server { host: host.to_owned(), port: 1 });
        let servers = Servers::of(servers, TargetSession::Any).expect("three");
        for (from, order) in [(0, "abc"), (1, "bca"), (2, "cab"), (7, "abc")] {
            let tried: String = servers.from(from).map(|(_, server)| server.host.as_str()).collect();
            assert_eq!(tried, order);
        }
    }

    #[test]
    fn the_choice_is_taken_out_of_a_connection_string() {
        use TargetSession::{Any, PreferStandby, Primary, Standby};
        for (dsn, target, rest) in [
            ("postgresql://a:b@c:1,d:2/e", Any, "postgresql://a:b@c:1,d:2/e"),
            ("postgresql://c/e?target_session_attrs=read-write", Primary, "postgresql://c/e"),
            ("postgres://c/e?x=1&target_session_attrs=standby&y=2", Standby, "postgres://c/e?x=1&y=2"),
            ("host=a,b target_session_attrs=primary user=c", Primary, "host=a,b user=c"),
            ("host=a target_session_attrs = 'prefer-standby'", PreferStandby, "host=a "),
            ("password='x\\' target_session_attrs=any' user=a", Any, "password='x\\' target_session_attrs=any' user=a"),
            ("nonsense", Any, "nonsense"),
        ] {
            assert_eq!(TargetSession::take_from(dsn), Ok((target, rest.to_owned())), "{dsn}");
        }
        assert!(TargetSession::take_from("host=a target_session_attrs=best").is_err());
    }
}
