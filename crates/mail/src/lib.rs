//! Letters to people: over SMTP, or into a folder, one `.eml` file (RFC 5322) each.
//!
//! A letter has an id that is also its `Message-ID`. Whoever sends it twice, because nobody knows whether it went, sends the same one:
//! in a folder the file is replaced, and mail programs show it once.

mod error;
mod letter;
mod mailer;

pub use error::MailError;
pub use letter::Letter;
pub use mailer::{Mailer, Password, Route};
