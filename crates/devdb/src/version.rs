//! Which PostgreSQL a program says it is.

use std::fmt;

/// The oldest major version síndico supports: the first where `public` is not writable by everybody and where
/// `security_invoker` views exist, both of which the isolation of tenants rests on.
pub const OLDEST_MAJOR: u16 = 15;

/// What `postgres --version` answered, such as `15.18` or `18beta1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    major: u16,
    text: String,
}

impl Version {
    /// Reads the answer of `postgres --version`.
    ///
    /// The product's name and what a distribution appends in parentheses vary, so the version is the first word that
    /// starts with a digit. `None` when there is no such word.
    pub(crate) fn parse(answer: &str) -> Option<Self> {
        let text = answer.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()))?;
        let digits = text.split(|c: char| !c.is_ascii_digit()).next()?;
        Some(Self { major: digits.parse().ok()?, text: text.to_owned() })
    }

    /// The number that decides compatibility: 15 of `15.18`, 9 of `9.6.24`.
    #[must_use]
    pub fn major(&self) -> u16 {
        self.major
    }

    pub(crate) fn is_supported(&self) -> bool {
        self.major >= OLDEST_MAJOR
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    fn parsed(answer: &str) -> Option<(u16, String)> {
        Version::parse(answer).map(|version| (version.major(), version.to_string()))
    }

    #[test]
    fn reads_releases_betas_and_distribution_suffixes() {
        let of = |major, text: &str| Some((major, text.to_owned()));
        assert_eq!(parsed("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"), of(15, "15.18"));
        assert_eq!(parsed("postgres (PostgreSQL) 16beta1\n"), of(16, "16beta1"));
        assert_eq!(parsed("postgres (PostgreSQL) 19devel"), of(19, "19devel"));
        assert_eq!(parsed("postgres (PostgreSQL) 9.6.24"), of(9, "9.6.24"));
    }

    #[test]
    fn refuses_what_names_no_version() {
        assert_eq!(parsed(""), None);
        assert_eq!(parsed("postgres: command not found"), None);
        assert_eq!(parsed("postgres 99999999.1"), None);
    }
}
