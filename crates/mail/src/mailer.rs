//! Sending.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use tokio::fs::{DirBuilder, OpenOptions};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use url::{Host, Url};
use uuid::Uuid;

use crate::letter::without;
use crate::{Letter, MailError};

/// How long reaching a mail server may take.
const REACHED: Duration = Duration::from_secs(30);

/// How long all that is said about one letter may take: a server that looks for spam before it answers takes minutes.
const SAID: Duration = Duration::from_mins(5);

/// What servers answer to whoever they do not let in (RFC 4954, section 6): that is about the settings, and may be mended.
const NOT_LET_IN: [u16; 4] = [530, 534, 535, 538];

/// A password that is not shown.
#[derive(Clone)]
pub struct Password(pub String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// Which way letters go.
#[derive(Debug, Clone)]
pub enum Route {
    /// Into a folder of this machine, which is made if it is not there.
    Folder(PathBuf),
    /// To a server that takes them.
    Smtp {
        /// `smtps://user@host:465`, or `smtp://user@host:587?tls=required` for STARTTLS; without TLS on this machine only.
        url: String,
        /// Of the URL's user.
        password: Option<Password>,
    },
}

/// Sends letters. Cheap to clone.
#[derive(Clone)]
pub struct Mailer {
    from: Mailbox,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Folder(PathBuf),
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.way {
            Way::Folder(folder) => format!("{}", folder.display()),
            Way::Smtp(_) => "SMTP".to_owned(),
        };
        write!(f, "Mailer({} by {way})", self.from)
    }
}

impl Mailer {
    /// Checks the settings. Whether a server answers is seen when there is a letter.
    pub fn new(from: &str, route: &Route) -> Result<Self, MailError> {
        let from = from.parse().map_err(|error| {
            let like = "write it as \"Happy Paws <no-reply@example.com>\"";
            MailError::Settings(format!("{from:?} is no sender: {error}; {like}"))
        })?;
        let way = match route {
            Route::Folder(folder) => Way::Folder(folder.clone()),
            Route::Smtp { url, password } => Way::Smtp(server(url, password.as_ref())?),
        };
        Ok(Self { from, way })
    }

    /// Sends a letter. When this returns, a server has taken it, or it is a whole file.
    pub async fn send(&self, letter: &Letter<'_>) -> Result<(), MailError> {
        let message = letter.message(&self.from)?;
        match &self.way {
            Way::Folder(folder) => write(folder, letter.id, &message)
                .await
                .map_err(|error| MailError::Folder { folder: folder.display().to_string(), reason: error.to_string() }),
            Way::Smtp(server) => {
                let sent = timeout(SAID, server.send(message)).await;
                let Ok(sent) = sent else { return Err(MailError::NotNow(format!("it has not answered in {SAID:?}"))) };
                let Err(error) = sent else { return Ok(()) };
                let reason = without(&told(&error), letter.to);
                let let_in = error.status().is_none_or(|code| !NOT_LET_IN.contains(&u16::from(code)));
                Err(if error.is_permanent() && let_in { MailError::Refused(reason) } else { MailError::NotNow(reason) })
            }
        }
    }
}

/// Nobody who looks into the folder sees half a letter, and nobody else looks into it: who has a letter can do what is asked in it.
async fn write(folder: &Path, id: Uuid, message: &Message) -> std::io::Result<()> {
    if !folder.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).await?;
    }
    // Whoever dies here leaves one that the next try replaces.
    let begun = folder.join(format!(".{id}"));
    let _none_was_left = tokio::fs::remove_file(&begun).await;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&begun).await?;
    file.write_all(&message.formatted()).await?;
    file.sync_all().await?;
    tokio::fs::rename(&begun, folder.join(format!("{id}.eml"))).await
}

/// With its cause, which says what really happened.
fn told(error: &dyn std::error::Error) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        let more = deeper.to_string();
        if !told.contains(&more) {
            told.push_str(": ");
            told.push_str(&more);
        }
        cause = deeper.source();
    }
    told
}

/// The URL is not repeated in an error: a password may have got into it.
fn server(url: &str, password: Option<&Password>) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
    let bad = |why: &str| MailError::Settings(format!("the mail server's URL: {why}"));
    let mut url =
        Url::parse(url).map_err(|error| bad(&format!("{error}; write it as smtps://user@mail.example.com")))?;
    let safe = match (url.scheme(), url.query()) {
        ("smtps", None) | ("smtp", Some("tls=required")) => true,
        ("smtp", None) => false,
        _ => return Err(bad("write smtps://user@host, or smtp://user@host?tls=required for STARTTLS")),
    };
    // Of a scheme that browsers do not know, an address is a name like any other.
    let here = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        // The library that speaks SMTP would look it up as a name.
        Some(Host::Ipv6(_)) => return Err(bad("give the host by its name, not by its IPv6 address")),
        Some(Host::Domain(name)) if !name.is_empty() => {
            name == "localhost" || name.parse().is_ok_and(|address: Ipv4Addr| address.is_loopback())
        }
        _ => return Err(bad("it names no host; write it as smtps://user@mail.example.com")),
    };
    if !safe && !here {
        return Err(bad("letters and passwords would go in the clear; write smtps://… or add ?tls=required"));
    }
    if url.password().is_some() {
        return Err(bad("a password does not belong here; put it into a file and name that"));
    }
    match (url.username().is_empty(), password) {
        (true, Some(_)) => return Err(bad("a password is given, but it names no user: smtps://user@host")),
        (false, None) => return Err(bad("it names a user, but no password is given")),
        (true, None) => {}
        (false, Some(Password(password))) => {
            url.set_password(Some(password)).map_err(|()| bad("it can hold no password"))?;
        }
    }
    let built = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.as_str()).map_err(|error| bad(&told(&error)))?;
    Ok(built.timeout(Some(REACHED)).build())
}

#[cfg(test)]
mod tests;
