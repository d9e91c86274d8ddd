//! What can go wrong with objects.

/// Failures, with the object that they are about.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// The place that was configured cannot be one.
    #[error("{0}")]
    BadPlace(String),
    /// The store does not answer, or refuses.
    #[error("the object store failed at {object}: {reason}")]
    Store {
        /// Which object.
        object: String,
        /// What it said.
        reason: String,
    },
    /// There is no such object.
    #[error("object {0} is not in the store")]
    Missing(String),
    /// It is not what was written, or was sealed with another key.
    #[error("object {object} is damaged, or sealed with another key: {reason}")]
    Damaged {
        /// Which object.
        object: String,
        /// What does not fit.
        reason: String,
    },
    /// The thread that seals has ended.
    #[error("sealing object {0} was cut off")]
    CutOff(String),
    /// No random bytes.
    #[error("the operating system's random number generator failed")]
    Random,
}

impl ObjectError {
    pub(crate) fn store(object: &str, error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing(object.to_owned()),
            error => Self::Store { object: object.to_owned(), reason: chain(&error) },
        }
    }

    pub(crate) fn damaged(object: &str, error: &std::io::Error) -> Self {
        Self::Damaged { object: object.to_owned(), reason: error.to_string() }
    }
}

/// An error with its causes on one line: the first says only which kind of store it was.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text.replace('\n', " ")
}
