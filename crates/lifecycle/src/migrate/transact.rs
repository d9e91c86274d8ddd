//! One migration on one set of tables, in one transaction.

use std::time::Duration;

use domain::{AppName, Role, TenantId, quote_ident, quote_literal};
use tenantize::{Run, Runner, Statement};
use tokio::time::sleep;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

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

/// SQL of síndico's own or of the app's, in the order in which it runs, in one transaction.
///
/// The session is a superuser's, and the app's statements call functions of the app, which may run whatever is in a row. So each runs
/// inside a function of síndico's that is `SECURITY DEFINER` and belongs to the role that it runs as: PostgreSQL lets nobody leave such a
/// role from within (`GUC_NOT_WHILE_SEC_REST`; "cannot set parameter within security-definer function"). Whoever owns one might alter
/// it: so they are in a schema that nobody may enter, but for those of tenants, who are kept from all DDL (`guard_ddl.sql`).
#[derive(Debug)]
pub(crate) struct Script {
    lines: Vec<Line>,
    /// What statements run in from here on.
    act: String,
    /// For roles that a superuser's session acts as.
    closed: Passing,
    /// For tenants, whose session it is when they call it.
    open: Passing,
    /// Whether the owner of the app's tables has one that stays.
    as_owner: bool,
    /// Whether constraints have been checked that are put off from the beginning.
    checked: bool,
    /// Whether it defines tables and nothing else.
    only_defines: bool,
}

/// A function of this transaction's; its name is no other's.
#[derive(Debug)]
struct Passing {
    name: String,
    made: bool,
}

impl Passing {
    fn within(schema: &str) -> Self {
        Self { name: format!("{schema}.{}", quote_ident(&format!("act_{}", Uuid::new_v4().simple()))), made: false }
    }

    /// From here on it runs its text as a role.
    fn become_role(&mut self, role: &str, search_path: &str) -> String {
        let Self { name, made } = self;
        let run = if std::mem::replace(made, true) {
            format!("ALTER FUNCTION {name}(pg_catalog.text) OWNER TO {}", quote_ident(role))
        } else {
            make_act(name, role)
        };
        format!("{run}; SET LOCAL search_path = {search_path}, pg_temp")
    }
}

#[derive(Debug)]
enum Line {
    Ours(String),
    Apps(Statement),
}

/// What statements begin with that define something.
const DEFINE: [&str; 6] = ["CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE"];

/// Runs a text as the owner of an app's tables.
const AS_OWNER: &str = "sindico_act.as_owner";

fn make_act(name: &str, role: &str) -> String {
    format!(
        "CREATE FUNCTION {name}(statement pg_catalog.text) RETURNS pg_catalog.void LANGUAGE plpgsql SECURITY DEFINER
             AS 'BEGIN EXECUTE statement; END';
         REVOKE ALL ON FUNCTION {name}(pg_catalog.text) FROM PUBLIC; ALTER FUNCTION {name}(pg_catalog.text) OWNER TO {}",
        quote_ident(role)
    )
}

/// What a new database gets, so that a migration need not make it for each of thousands of tenants.
pub(crate) fn act_as_owner(owner: &str) -> String {
    format!("CREATE SCHEMA sindico_act; {};", make_act(AS_OWNER, owner))
}

/// Whether a database has it, it is as it was made, and its owner cannot reach it.
pub(crate) async fn has_as_owner(session: &Session, app: &AppName) -> Result<bool, Stop> {
    let asked = session
        .query_one(
            "SELECT EXISTS (SELECT FROM pg_proc WHERE oid = to_regprocedure('sindico_act.as_owner(text)') AND prosecdef
                 AND pg_get_userbyid(proowner) = $1 AND prosrc = 'BEGIN EXECUTE statement; END' AND proconfig IS NULL
                 AND provolatile = 'v' AND NOT proisstrict AND NOT has_schema_privilege(proowner, pronamespace, 'USAGE'))",
            &[&app.names().owner],
        )
        .await;
    asked.and_then(|row| row.try_get(0)).map_err(|error| Stop::of(session, &error, None))
}

/// Puts constraints off again that are so from the beginning, after all of them have been checked: those that are not are few, and
/// another of the same name, which cannot be put off at all, is no error where it is not to be.
const PUT_OFF: &str = "SET CONSTRAINTS ALL DEFERRED; DO $do$ DECLARE it record; BEGIN
    FOR it IN SELECT DISTINCT n.nspname, c.conname FROM pg_catalog.pg_constraint c
        JOIN pg_catalog.pg_namespace n ON n.oid = c.connamespace
        WHERE c.condeferrable AND NOT c.condeferred AND n.nspname = ANY (pg_catalog.current_schemas(false))
    LOOP EXECUTE pg_catalog.format('SET CONSTRAINTS %I.%I IMMEDIATE', it.nspname, it.conname); END LOOP;
END $do$";

impl Script {
    /// Begins after whatever the transaction has begun with, in a database of which it is known whether [`has_as_owner`].
    pub(crate) fn new(as_owner: bool) -> Self {
        let [closed, open] = ["sindico_act", "sindico"].map(Passing::within);
        Self { lines: Vec::new(), act: String::new(), closed, open, as_owner, checked: false, only_defines: true }
    }

    pub(crate) fn ours(&mut self, sql: impl Into<String>) {
        self.lines.push(Line::Ours(sql.into()));
    }

    /// Nothing is left of what it needed.
    pub(crate) fn end(&mut self) {
        let made = [&self.closed, &self.open].into_iter().filter(|it| it.made);
        let drops: Vec<String> = made.map(|it| format!("DROP FUNCTION {}(pg_catalog.text)", it.name)).collect();
        for drop in drops {
            self.ours(drop);
        }
    }

    /// What the owner of the app's tables runs.
    pub(crate) fn owner(&mut self, app: &AppName, search_path: &str, statements: impl IntoIterator<Item = Statement>) {
        if !self.as_owner {
            return self.as_role(&app.names().owner, search_path, statements);
        }
        self.put_off();
        AS_OWNER.clone_into(&mut self.act);
        self.ours(format!("SET LOCAL search_path = {search_path}, pg_temp"));
        self.apps(statements);
        self.check();
    }

    /// What a role runs that nobody logs in as.
    pub(crate) fn as_role(&mut self, role: &str, search_path: &str, statements: impl IntoIterator<Item = Statement>) {
        self.put_off();
        // Databases that were made before there was such a schema have none.
        self.ours("CREATE SCHEMA IF NOT EXISTS sindico_act");
        let become_role = self.closed.become_role(role, search_path);
        self.closed.name.clone_into(&mut self.act);
        self.ours(become_role);
        self.apps(statements);
        self.check();
    }

    /// What a tenant runs, as if it had logged in: whatever it does, it stays with its rows.
    pub(crate) fn tenant(
        &mut self,
        tenant: TenantId,
        by: Runner,
        search_path: &str,
        statements: impl IntoIterator<Item = Statement>,
    ) {
        let role = Role::new(tenant, domain::Access::ReadWrite).to_string();
        // No trigger has to do with values that a column has from the beginning.
        let quiet = by == Runner::Filler;
        self.put_off();
        if quiet {
            self.ours("SET LOCAL session_replication_role = replica");
        }
        let become_role = self.open.become_role(&role, search_path);
        self.open.name.clone_into(&mut self.act);
        self.ours(become_role);
        // Policies ask whose session it is.
        self.ours(format!("SET LOCAL SESSION AUTHORIZATION {}", quote_ident(&role)));
        self.apps(statements);
        self.check();
        self.ours("SET LOCAL SESSION AUTHORIZATION DEFAULT");
        if quiet {
            self.ours("SET LOCAL session_replication_role = origin");
        }
    }

    fn apps(&mut self, statements: impl IntoIterator<Item = Statement>) {
        for statement in statements {
            let text = statement.sql.trim_start();
            let word = text.split(|it: char| !it.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_uppercase();
            self.only_defines &= DEFINE.contains(&word.as_str());
            let sql = self.call(&statement.sql);
            self.lines.push(Line::Apps(Statement { sql, ..statement }));
        }
    }

    /// Whether what it leaves of tables depends on nothing but how they were: not on rows, nor on what the app's functions do with them.
    pub(crate) fn only_defines(&self) -> bool {
        self.only_defines
    }

    /// What has been put off to the end of the transaction is done here, by whoever has caused it: at the end it would be done by the
    /// superuser whose session it is. Definitions may cause it, too, by the functions that they call.
    fn check(&mut self) {
        let sql = self.call("SET CONSTRAINTS ALL IMMEDIATE");
        self.ours(sql);
        self.checked = true;
    }

    /// Whoever is next finds constraints as they are at the beginning of a transaction.
    fn put_off(&mut self) {
        if std::mem::take(&mut self.checked) {
            self.ours(PUT_OFF);
        }
    }

    fn call(&self, sql: &str) -> String {
        format!("SELECT {}({})", self.act, quote_literal(sql))
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
        let texts: Vec<&str> = self.lines.iter().map(Line::sql).collect();
        session.batch_execute(&texts.join(";\n")).await.map_err(|error| Stop::of(session, &error, None))
    }

    /// Statement by statement, so that the one that fails is named.
    pub(crate) async fn one_by_one(&self, session: &Session) -> Result<(), Stop> {
        for line in &self.lines {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(sql: &str) -> Vec<Statement> {
        vec![Statement { file: "migrations/1.sql".to_owned(), line: 1, sql: sql.to_owned() }]
    }

    #[test]
    fn what_is_put_off_is_checked_before_a_role_is_left() {
        let app: AppName = "shop".parse().expect("a name");
        for as_owner in [true, false] {
            let mut script = Script::new(as_owner);
            script.owner(&app, "public", statements("ALTER TABLE a ADD COLUMN b int DEFAULT f()"));
            script.tenant(TenantId::from_uuid(Uuid::nil()), Runner::Tenant, "public", statements("UPDATE a SET b = 1"));
            let lines: Vec<&str> = script.lines.iter().map(Line::sql).collect();
            let nth = |part: &str, from: usize| {
                let found = lines.iter().skip(from).position(|line| line.contains(part));
                from + found.unwrap_or_else(|| panic!("no {part} after {from}: {lines:#?}"))
            };
            let checked = nth("SET CONSTRAINTS ALL IMMEDIATE", nth("ALTER TABLE", 0));
            let again = nth("SET CONSTRAINTS ALL DEFERRED", checked);
            let left = nth("SESSION AUTHORIZATION DEFAULT", nth("UPDATE a", again));
            assert!(nth("SET CONSTRAINTS ALL IMMEDIATE", again) < left, "{lines:#?}");
            // The owner of tables may alter what it owns where it can name it.
            assert!(!lines.iter().take(again).any(|line| line.contains(" sindico.")), "{lines:#?}");
        }
    }
}
