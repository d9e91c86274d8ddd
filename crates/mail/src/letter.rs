//! What is sent.

use domain::{DisplayName, Email};
use lettre::Address;
use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, Mailbox, Message};
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
            .body(self.body())
            .map_err(|error| unwritable(error.to_string()))
    }
}

impl Letter<'_> {
    /// Whoever looks at the file of a letter in plain ASCII can follow its link: nothing of it is escaped or broken into lines.
    fn body(&self) -> Body {
        let plain = self.text.is_ascii() && self.text.lines().all(|line| line.len() <= LONGEST_LINE);
        if !plain {
            return Body::new(self.text.to_owned());
        }
        let lines: String = self.text.lines().flat_map(|line| [line, "\r\n"]).collect();
        Body::dangerous_pre_encoded(lines.into_bytes(), ContentTransferEncoding::SevenBit)
    }
}

/// Bytes in the longest line that a mail server has to take (RFC 5321, 4.5.3.1.6), without its end.
const LONGEST_LINE: usize = 998;

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
