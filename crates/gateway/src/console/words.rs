//! What operators say to the console.

use super::view::View;

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    /// Shows a table.
    Show(View),
    /// Has a tenant's new transactions wait, and those leave that keep connections if `force` is given.
    Pause { tenant: String, force: bool },
    /// Lets a tenant's transactions go on; all that were paused here without a name.
    Resume(Option<String>),
    /// Ends a tenant's connections.
    Kill(String),
    /// Reads the configuration again.
    Reload,
    /// What drivers say of their own accord, with the tag of the answer; there is nothing to do about it.
    Courtesy(&'static str),
}

impl Command {
    /// The columns of the answer; `None` for one without rows.
    pub(super) fn columns(&self) -> Option<&'static [&'static str]> {
        match self {
            Self::Show(view) => Some(view.columns()),
            Self::Reload => Some(&["key", "value", "in_force"]),
            _ => None,
        }
    }
}

/// Words that are no command, and what is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misspoken {
    #[error("the console does not know the command \"{0}\"")]
    Command(String),
    #[error("the console has nothing to show under the name \"{0}\"")]
    View(String),
    #[error("{0} needs a tenant")]
    NoTenant(&'static str),
    #[error("\"{0}\" is one word too many")]
    Surplus(String),
}

impl Misspoken {
    pub(super) const HINT: &str = "SHOW HELP lists what the console understands.";
}

/// Reads one command; `None` if there is none. Words are parted by blanks; a name may stand in either kind of quotes.
pub(super) fn read(text: &str) -> Result<Option<Command>, Misspoken> {
    let mut words = text.split_whitespace();
    let Some(verb) = words.next() else { return Ok(None) };
    let command = match verb.to_ascii_uppercase().as_str() {
        "SHOW" => {
            let name = words.next().unwrap_or("HELP");
            Command::Show(View::named(name).ok_or_else(|| Misspoken::View(shown(name)))?)
        }
        "PAUSE" => {
            let tenant = name(words.next()).ok_or(Misspoken::NoTenant("PAUSE"))?;
            let mut rest = words.clone();
            let force = rest.next().is_some_and(|word| word.eq_ignore_ascii_case("force"));
            if force {
                words = rest;
            }
            Command::Pause { tenant, force }
        }
        "RESUME" => Command::Resume(name(words.next())),
        "KILL" => Command::Kill(name(words.next()).ok_or(Misspoken::NoTenant("KILL"))?),
        "RELOAD" => Command::Reload,
        courtesy => {
            let known = ["BEGIN", "COMMIT", "ROLLBACK", "SET", "RESET", "DISCARD", "DEALLOCATE"];
            let tag = known.into_iter().find(|known| *known == courtesy);
            return tag.map(|tag| Some(Command::Courtesy(tag))).ok_or_else(|| Misspoken::Command(shown(verb)));
        }
    };
    match words.next() {
        Some(word) => Err(Misspoken::Surplus(shown(word))),
        None => Ok(Some(command)),
    }
}

fn name(word: Option<&str>) -> Option<String> {
    let unquoted = word?.trim_matches(|quote| matches!(quote, '"' | '\''));
    (!unquoted.is_empty()).then(|| unquoted.to_owned())
}

fn shown(word: &str) -> String {
    word.chars().take(63).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_in_any_case() {
        let read = |text| read(text).expect(text).expect("a command");
        assert_eq!(read("show\n pools"), Command::Show(View::Pools));
        assert_eq!(read("SHOW"), Command::Show(View::Help));
        assert_eq!(read("PAUSE 'paws'"), Command::Pause { tenant: "paws".to_owned(), force: false });
        assert_eq!(read("pause paws Force"), Command::Pause { tenant: "paws".to_owned(), force: true });
        assert_eq!(read("RESUME"), Command::Resume(None));
        assert_eq!(read("KILL \"paws\""), Command::Kill("paws".to_owned()));
        assert_eq!(read("SET application_name = 'x y'"), Command::Courtesy("SET"));
        assert_eq!(super::read(" \t"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, named) in [
            ("DROP paws", "\"DROP\""),
            ("SHOW ME", "\"ME\""),
            ("PAUSE", "PAUSE needs"),
            ("KILL ''", "KILL needs"),
            ("SHOW POOLS now", "\"now\""),
            ("PAUSE paws fast", "\"fast\""),
        ] {
            let said = read(text).expect_err(text).to_string();
            assert!(said.contains(named), "{text}: {said}");
        }
    }
}
