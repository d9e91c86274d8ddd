//! What keeps letters from going.

use domain::Email;

/// Why a letter did not go, or cannot.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Settings that no letter can be sent with.
    #[error("{0}")]
    Settings(String),
    /// The server could not be reached, or wants to be asked again.
    #[error("the mail server has not taken a letter to {to}: {reason}; it is tried again")]
    NotNow {
        /// Who was to get it.
        to: Email,
        /// In the server's words, or the network's.
        reason: String,
    },
    /// It will not go, however often it is tried.
    #[error("the mail server refuses a letter to {to}: {reason}")]
    Refused {
        /// Who was to get it.
        to: Email,
        /// In the server's words.
        reason: String,
    },
    /// The folder could not be written to.
    #[error("a letter to {to} could not be written into the folder {folder}: {reason}")]
    Folder {
        /// Who was to get it.
        to: Email,
        /// Where it should be.
        folder: String,
        /// In the system's words.
        reason: String,
    },
}

impl MailError {
    /// Whether trying again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::NotNow { .. } | Self::Folder { .. })
    }
}
