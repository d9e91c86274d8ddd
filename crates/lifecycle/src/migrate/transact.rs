//! One migration on one set of tables, in one transaction.

use std::time::Duration;

use domain::{AppName, Role, TenantId, quote_ident};
use tenantize::{Run, Runner, Statement};
use tokio::time::sleep;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;

use super::MigrateOptions;
use crate::LifecycleError;
use crate::error::postgres_text;
use crate::server::Session;

/// Pauses between attempts grow from the first to the second.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Why a transaction did not come to its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Others had the locks for too long.
    Busy(LifecycleError),
    /// The session is gone.
    Lost(LifecycleError),
    /// It will fail again.
    Failed(LifecycleError),
}

impl From<LifecycleError> for Stop {
    fn from(error: LifecycleError) -> Self {
        Self::Failed(error)
    }
}

impl Stop {
    pub(crate) fn of(session: &Session, error: &tokio_postgres::Error, at: Option<&Statement>) -> Self {
        let told = match at.filter(|_| error.as_db_error().is_some()) {
            Some(Statement { file, line, .. }) => {
                LifecycleError::Statement { file: file.clone(), line: *line, reason: postgres_text(error) }
            }
            None => session.fault(error),
        };
        match error.code() {
            Some(code) if [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED].contains(code) => {
                Self::Busy(told)
            }
            None => Self::Lost(told),
            Some(code) if code.code().starts_with("57P") => Self::Lost(told),
            Some(_) => Self::Failed(told),
        }
    }

    pub(crate) fn into_error(self) -> LifecycleError {
        match self {
            Self::Busy(error) | Self::Lost(error) | Self::Failed(error) => error,
        }
    }
}

/// SQL of síndico's own or of the app's, in the order in which it runs.
#[derive(Debug, Default)]
pub(crate) struct Script(Vec<Line>);

#[derive(Debug)]
enum Line {
    Ours(String),
    Apps(Statement),
}

impl Script {
    pub(crate) fn ours(&mut self, sql: impl Into<String>) {
        self.0.push(Line::Ours(sql.into()));
    }

    /// What the owner of the app's tables runs.
    pub(crate) fn owner(&mut self, app: &AppName, search_path: &str, statements: impl IntoIterator<Item = Statement>) {
        self.as_role(&app.names().owner, search_path, statements);
    }

    pub(crate) fn as_role(&mut self, role: &str, search_path: &str, statements: impl IntoIterator<Item = Statement>) {
        self.ours(format!("SET LOCAL ROLE {}; SET LOCAL search_path = {search_path}", quote_ident(role)));
        self.0.extend(statements.into_iter().map(Line::Apps));
        self.ours("RESET ROLE");
    }

    /// What a tenant runs, as if it had logged in: whatever it does, it stays with its rows.
    pub(crate) fn tenant(
        &mut self,
        tenant: TenantId,
        by: Runner,
        search_path: &str,
        statements: impl IntoIterator<Item = Statement>,
    ) {
        let role = Role::new(tenant, domain::Access::ReadWrite);
        // No trigger has to do with values that a column has from the beginning.
        let quiet = by == Runner::Filler;
        if quiet {
            self.ours("SET LOCAL session_replication_role = replica");
        }
        self.ours(format!("SET LOCAL SESSION AUTHORIZATION \"{role}\"; SET LOCAL search_path = {search_path}"));
        self.0.extend(statements.into_iter().map(Line::Apps));
        self.ours("SET LOCAL SESSION AUTHORIZATION DEFAULT");
        if quiet {
            self.ours("SET LOCAL session_replication_role = origin");
        }
    }

    /// Runs of an upgrade on one tenant's own tables.
    pub(crate) fn own(&mut self, app: &AppName, tenant: TenantId, search_path: &str, runs: Vec<Run>) {
        for Run { by, statements } in runs {
            match by {
                Runner::Owner | Runner::Definer => self.owner(app, search_path, statements),
                Runner::Tenant | Runner::Filler => self.tenant(tenant, by, search_path, statements),
            }
        }
    }

    /// All of it in one message.
    pub(crate) async fn at_once(&self, session: &Session) -> Result<(), Stop> {
        let texts: Vec<&str> = self.0.iter().map(Line::sql).collect();
        session.batch_execute(&texts.join(";\n")).await.map_err(|error| Stop::of(session, &error, None))
    }

    /// Statement by statement, so that the one that fails is named.
    pub(crate) async fn one_by_one(&self, session: &Session) -> Result<(), Stop> {
        for line in &self.0 {
            let at = match line {
                Line::Ours(_) => None,
                Line::Apps(statement) => Some(statement),
            };
            session.batch_execute(line.sql()).await.map_err(|error| Stop::of(session, &error, at))?;
        }
        Ok(())
    }
}

impl Line {
    fn sql(&self) -> &str {
        match self {
            Self::Ours(sql) => sql,
            Self::Apps(statement) => &statement.sql,
        }
    }
}

/// The first column of the last row.
pub(crate) fn last_value(said: &[SimpleQueryMessage]) -> Option<String> {
    said.iter().rev().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    })
}

/// Waits longer each time that others have the locks.
pub(crate) struct Patience {
    left: u32,
    pause: Duration,
}

impl Patience {
    pub(crate) fn new(options: &MigrateOptions) -> Self {
        Self { left: options.lock_retries, pause: PAUSE }
    }

    /// Whether to try again, after a pause.
    pub(crate) async fn again(&mut self, stop: &Stop) -> bool {
        if !matches!(stop, Stop::Busy(_)) || self.left == 0 {
            return false;
        }
        sleep(self.pause).await;
        self.left -= 1;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}
