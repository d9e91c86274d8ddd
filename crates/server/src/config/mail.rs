//! Letters to tenants' members.

use std::path::{Path, PathBuf};

use lifecycle::{Language, LetterSettings};
use mail::{Mailer, Password, Route};
use serde::{Deserialize, Serialize};

use super::{ConfigError, secret};

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMail {
    pub(super) from: String,
    #[serde(default)]
    pub(super) folder: Option<PathBuf>,
    #[serde(default)]
    pub(super) smtp_url: Option<String>,
    #[serde(default)]
    pub(super) smtp_password_file: Option<PathBuf>,
    pub(super) confirm_url: String,
    #[serde(default)]
    pub(super) dashboard_url: Option<String>,
    #[serde(default = "english")]
    pub(super) language: String,
}

fn english() -> String {
    "en".to_owned()
}

impl RawMail {
    /// Whether a mail server answers is seen when there is a letter.
    pub(super) fn lower(self, base: &Path) -> Result<LetterSettings, ConfigError> {
        let password = match &self.smtp_password_file {
            Some(file) => Some(Password(secret(base, "mail.smtp_password_file", file)?)),
            None => None,
        };
        let route = match (self.folder, self.smtp_url) {
            (Some(_), None) if password.is_some() => {
                return Err(ConfigError("mail.smtp_password_file: it says nothing without mail.smtp_url".to_owned()));
            }
            (Some(folder), None) => Route::Folder(base.join(folder)),
            (None, Some(url)) => Route::Smtp { url, password },
            (Some(_), Some(_)) => {
                return Err(ConfigError("mail: give either mail.folder or mail.smtp_url, not both".to_owned()));
            }
            (None, None) => {
                return Err(ConfigError(
                    "mail: it says no way; give mail.smtp_url, or mail.folder for letters in files".to_owned(),
                ));
            }
        };
        link("mail.confirm_url", &self.confirm_url, &["{token}", "{slug}"])?;
        if !self.confirm_url.contains("{token}") {
            return Err(ConfigError(
                "mail.confirm_url: it lacks {token}; write it as https://example.com/confirm?token={token}".to_owned(),
            ));
        }
        if let Some(url) = &self.dashboard_url {
            link("mail.dashboard_url", url, &["{slug}"])?;
        }
        Ok(LetterSettings {
            mailer: Mailer::new(&self.from, &route).map_err(|error| ConfigError(format!("mail: {error}")))?,
            confirm_url: self.confirm_url,
            dashboard_url: self.dashboard_url,
            language: self.language.parse::<Language>().map_err(|why| ConfigError(format!("mail.language: {why}")))?,
        })
    }
}

/// What `sindico up` does: letters are files in its folder, and their links lead to itself.
pub(crate) fn of_folder(folder: &Path, api: u16) -> Result<LetterSettings, ConfigError> {
    let raw = RawMail {
        from: "síndico <no-reply@localhost>".to_owned(),
        folder: Some(folder.to_path_buf()),
        smtp_url: None,
        smtp_password_file: None,
        confirm_url: format!("http://127.0.0.1:{api}/confirm?token={{token}}"),
        dashboard_url: None,
        language: english(),
    };
    raw.lower(folder)
}

/// A URL that people open, with nothing in braces but these.
fn link(key: &str, url: &str, places: &[&str]) -> Result<(), ConfigError> {
    let plain = places.iter().fold(url.to_owned(), |url, place| url.replace(place, "x"));
    let is_link = reqwest::Url::parse(&plain).is_ok_and(|url| ["http", "https"].contains(&url.scheme()));
    if is_link && !plain.contains(['{', '}', ' ']) {
        return Ok(());
    }
    let like = places.join(" and ");
    Err(ConfigError(format!("{key}: {url:?} is no link; write https://… with nothing in braces but {like}")))
}
