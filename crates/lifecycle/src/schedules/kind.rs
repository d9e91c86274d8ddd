//! What a schedule can begin. A new kind is a variant here, with its word, and its arm in [`Lifecycle::begins`].

use std::str::FromStr;

use jobs::Procedure;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::backup::{self, BACKUPS, backups};
use crate::migrate::{self, VERIFY, verification};
use crate::retention::{Order, RETENTION, retaining};
use crate::usage::{self, USAGE, collection};
use crate::{Lifecycle, LifecycleError};

/// What a schedule begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleKind {
    /// Backs up every tenant of an app; its input names the `app`.
    Backup,
    /// Removes rows of an app's tenants that are older than they are to be kept; its input names the `app`.
    Retention,
    /// Finds out what all tenants use.
    Usage,
    /// Compares the tables of an app's tenants with what their versions have; its input names the `app`.
    Verify,
}

const OF_APP: &str = "{\"app\": \"petshop\"}";

/// An operation that is about to be recorded.
pub(crate) struct Begins {
    pub(crate) kind: &'static str,
    pub(crate) subject: Uuid,
    pub(crate) title: String,
    pub(crate) input: Value,
    pub(crate) procedure: Procedure,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfApp {
    app: domain::AppName,
}

impl ScheduleKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Backup, Self::Retention, Self::Usage, Self::Verify];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Retention => "retention",
            Self::Usage => "usage",
            Self::Verify => "verify",
        }
    }
}

impl FromStr for ScheduleKind {
    type Err = LifecycleError;

    fn from_str(word: &str) -> Result<Self, LifecycleError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            let reason = format!("there is nothing called {word:?} to be begun by itself; give one of {known}");
            LifecycleError::BadSchedule { field: "kind", reason }
        })
    }
}

impl Lifecycle {
    /// What a kind begins with an input, if that can be begun at all.
    pub(super) async fn begins(&self, kind: ScheduleKind, input: &Value) -> Result<Begins, LifecycleError> {
        match kind {
            ScheduleKind::Backup => {
                let OfApp { app } = read(kind, input, OF_APP)?;
                self.can_back_up(&app).await?;
                let (subject, title) = (backup::subject_of(&app), app.to_string());
                Ok(Begins { kind: BACKUPS, subject, title, input: input.clone(), procedure: backups(self) })
            }
            ScheduleKind::Retention => {
                let OfApp { app } = read(kind, input, OF_APP)?;
                self.app(&app).await?;
                self.has_rules(&app).await?;
                let (subject, title) = (migrate::subject(&app), app.to_string());
                let input = json!(Order { app: app.to_string(), tenants: None, dry: false });
                Ok(Begins { kind: RETENTION, subject, title, input, procedure: retaining(self) })
            }
            ScheduleKind::Usage => {
                let Nothing {} = read(kind, input, "{}")?;
                let (subject, title) = (usage::subject(), "all tenants".to_owned());
                Ok(Begins { kind: USAGE, subject, title, input: json!({}), procedure: collection(self) })
            }
            ScheduleKind::Verify => {
                let OfApp { app } = read(kind, input, OF_APP)?;
                self.app(&app).await?;
                let (subject, title) = (migrate::subject(&app), app.to_string());
                Ok(Begins { kind: VERIFY, subject, title, input: input.clone(), procedure: verification(self) })
            }
        }
    }
}

fn read<T: DeserializeOwned>(kind: ScheduleKind, input: &Value, example: &str) -> Result<T, LifecycleError> {
    T::deserialize(input).map_err(|error| {
        let reason = format!("input of {} is not usable: {error}; give such as {example}", kind.as_str());
        LifecycleError::BadSchedule { field: "input", reason }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_kinds_and_others_are_refused_with_all_of_them() {
        for kind in ScheduleKind::ALL {
            assert_eq!(kind.as_str().parse::<ScheduleKind>().expect("a kind"), kind);
        }
        let refusal = "tea".parse::<ScheduleKind>().expect_err("no kind").to_string();
        assert!(refusal.contains("\"tea\"") && refusal.contains("backup, retention, usage, verify"), "{refusal}");
    }

    #[test]
    fn an_input_is_read_strictly() {
        read::<Nothing>(ScheduleKind::Usage, &json!({}), "{}").expect("nothing");
        read::<OfApp>(ScheduleKind::Verify, &json!({"app": "shop"}), "").expect("an app");
        for bad in [json!({"app": "shop"}), json!(null), json!(1)] {
            let refusal = read::<Nothing>(ScheduleKind::Usage, &bad, "{}").expect_err("too much").to_string();
            assert!(refusal.contains("input of usage") && refusal.contains("{}"), "{refusal}");
        }
        assert!(read::<OfApp>(ScheduleKind::Verify, &json!({}), "such").is_err());
    }
}
