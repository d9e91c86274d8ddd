//! What is sent.

use domain::{DisplayName, Email};
use lettre::Address;
use lettre::message::header::ContentType;
use lettre::message::{Mailbox, Message};
use uuid::Uuid;

use crate::MailError;

/// A letter in plain text.
#[derive(Debug)]
pub struct Letter<'a> {
    /// The same each time that this letter is sent.
    pub id: Uuid,
    /// Who gets it.
    pub to: &'a Email,
    /// What people call them.
    pub name: &'a DisplayName,
    /// On one line.
    pub subject: &'a str,
    /// The body.
    pub text: &'a str,
}

impl Letter<'_> {
    /// As it goes over the wire. Whatever is not ASCII is encoded.
    pub(crate) fn message(&self, from: &Mailbox) -> Result<Message, MailError> {
        let unwritable = |error: String| MailError::Unwritable(without(&error, self.to));
        let address: Address = self.to.as_str().parse().map_err(|error| unwritable(format!("{error}")))?;
        let id = format!("<{}@{}>", self.id, from.email.domain());
        Message::builder()
            .from(from.clone())
            .to(Mailbox::new(Some(self.name.to_string()), address))
            .subject(self.subject)
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(self.text.to_owned())
            .map_err(|error| unwritable(error.to_string()))
    }
}

/// Somebody else's words, without the address that they are about.
pub(crate) fn without(words: &str, address: &Email) -> String {
    let (folded, hidden) = (words.to_ascii_lowercase(), address.folded());
    let mut told = String::new();
    let mut from = 0;
    for (at, _) in folded.match_indices(&hidden) {
        told.push_str(words.get(from..at).unwrap_or_default());
        told.push('…');
        from = at + hidden.len();
    }
    told.push_str(words.get(from..).unwrap_or_default());
    told
}
