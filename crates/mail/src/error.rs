//! What keeps letters from going. Nobody's address is told: errors are kept and logged for longer than people may want.

/// Why a letter did not go, or cannot.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// Settings that no letter can be sent with.
    #[error("{0}")]
    Settings(String),
    /// The server could not be reached, wants to be asked again, or does not let síndico in.
    #[error("the mail server has not taken the letter: {0}")]
    NotNow(String),
    /// It will not go, however often it is tried.
    #[error("the mail server refuses the letter: {0}")]
    Refused(String),
    /// There is no letter in what is to be sent.
    #[error("the letter cannot be written: {0}")]
    Unwritable(String),
    /// The folder could not be written to.
    #[error("the letter could not be written into the folder {folder}: {reason}")]
    Folder {
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
        matches!(self, Self::NotNow(_) | Self::Folder { .. })
    }
}
