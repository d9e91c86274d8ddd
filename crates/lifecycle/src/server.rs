//! Administrative sessions on clusters. Tenants' requests never come this way.

use std::future::poll_fn;
use std::ops::Deref;
use std::task::Poll;
use std::time::Duration;

use domain::{Role, TenantId};
use futures_util::poll;
use jobs::Work;
use tenantize::Statement as AppStatement;
use tls::{Dsn, DsnError};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio_postgres::{AsyncMessage, Client, Statement};
use uuid::Uuid;

use crate::error::postgres_text;
use crate::{Lifecycle, LifecycleError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An administrative statement that waits for a tenant's lock must not wait for ever. It may work for long: a large tenant
/// takes its time to be removed. Strings are read as the grammar that cut statements apart has read them. No function of an app's has the name of
/// one that is meant, and nothing that a session has made for itself comes before what PostgreSQL has.
const LIMITS: &str = "-c lock_timeout=30s -c client_min_messages=warning -c standard_conforming_strings=on -c search_path=pg_catalog,pg_temp";
/// So many of an app's statements are sent at a time.
const AHEAD: usize = 32;

/// An app's seed has a bound: an operator waits for it.
const SEED_LIMITS: &str = "-c statement_timeout=120s";

/// One session; dropping it ends it.
pub(crate) struct Session {
    client: Client,
    driver: JoinHandle<()>,
    cluster: String,
    /// Statements that are asked again and again.
    prepared: Mutex<Vec<(&'static str, Statement)>>,
}

impl Session {
    pub(crate) async fn open(cluster: impl ToString, dsn: Dsn) -> Result<Self, LifecycleError> {
        Ok(Self::open_hearing(cluster, dsn).await?.0)
    }

    /// The same, with what the server says beside its answers.
    async fn open_hearing(
        cluster: impl ToString,
        mut dsn: Dsn,
    ) -> Result<(Self, UnboundedReceiver<String>), LifecycleError> {
        let cluster = cluster.to_string();
        dsn.config.connect_timeout(CONNECT_TIMEOUT);
        // Apart: what a handshake needs would be carried along by everything that administers.
        let (client, mut connection) = Box::pin(dsn.config.connect(dsn.connector()))
            .await
            .map_err(|error| LifecycleError::Server { cluster: cluster.clone(), reason: postgres_text(&error) })?;
        let (notices, heard) = unbounded_channel();
        let driver = tokio::spawn(async move {
            // An error ends it, and reaches whoever waits for an answer, who knows what was being done.
            while let Some(Ok(message)) = poll_fn(|cx| connection.poll_message(cx)).await {
                if let AsyncMessage::Notice(notice) = message {
                    let _nobody_listens = notices.send(notice.message().to_owned());
                }
            }
        });
        Ok((Self { client, driver, cluster, prepared: Mutex::default() }, heard))
    }

    /// Runs administrative SQL.
    pub(crate) async fn run(&self, sql: &str) -> Result<(), LifecycleError> {
        self.client.batch_execute(sql).await.map_err(|error| self.fault(&error))
    }

    /// Runs an app's statements within a transaction, naming file and line of the first that fails. They are sent without waiting for
    /// each other: after one that has failed, PostgreSQL does nothing of the others.
    pub(crate) async fn run_app(&self, statements: &[AppStatement]) -> Result<(), LifecycleError> {
        let told = |statement: &AppStatement, error: &tokio_postgres::Error| {
            if error.as_db_error().is_none() {
                return self.fault(error);
            }
            let (file, line) = (statement.file.clone(), statement.line);
            LifecycleError::Statement { file, line, reason: postgres_text(error) }
        };
        for some in statements.chunks(AHEAD) {
            let mut sent = Vec::with_capacity(some.len());
            for statement in some {
                let mut answer = Box::pin(self.client.batch_execute(&statement.sql));
                // What has been asked for once is on its way, so that they run in this order.
                let early = poll!(answer.as_mut());
                sent.push((statement, answer, early));
            }
            for (statement, answer, early) in sent {
                let answer = match early {
                    Poll::Ready(answer) => answer,
                    Poll::Pending => answer.await,
                };
                answer.map_err(|error| told(statement, &error))?;
            }
        }
        Ok(())
    }

    /// A question with a yes or no.
    pub(crate) async fn ask(
        &self,
        sql: &str,
        params: &[&(dyn tokio_postgres::types::ToSql + Sync)],
    ) -> Result<bool, LifecycleError> {
        let row = self.client.query_one(sql, params).await.map_err(|error| self.fault(&error))?;
        row.try_get(0).map_err(|error| self.fault(&error))
    }

    /// The text that a statement gives for a text. PostgreSQL plans it once in a session.
    pub(crate) async fn ask_again(&self, sql: &'static str, about: &str) -> Result<String, tokio_postgres::Error> {
        let mut prepared = self.prepared.lock().await;
        let known = prepared.iter().find(|(text, _)| *text == sql).map(|(_, statement)| statement.clone());
        let statement = if let Some(statement) = known {
            statement
        } else {
            self.client.batch_execute("SET plan_cache_mode = force_generic_plan").await?;
            let statement = self.client.prepare(sql).await?;
            prepared.push((sql, statement.clone()));
            statement
        };
        drop(prepared);
        self.client.query_one(&statement, &[&about]).await?.try_get(0)
    }

    /// Ends the session and waits until the socket is closed: a database with sessions can be neither copied nor renamed.
    pub(crate) async fn close(self) {
        drop(self.client);
        let _ended = self.driver.await;
    }

    pub(crate) fn fault(&self, error: &tokio_postgres::Error) -> LifecycleError {
        LifecycleError::Server { cluster: self.cluster.clone(), reason: postgres_text(error) }
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// Reads a cluster's DSN, with the limits that every session of ours has.
pub(crate) fn parse_dsn(dsn: &str) -> Result<Dsn, LifecycleError> {
    let mut dsn = Dsn::read(dsn).map_err(|error| {
        let DsnError::Unreadable(error) = error else { return LifecycleError::BadCluster(format!("the DSN {error}")) };
        // The driver quotes what it does not understand, and that may be a piece of a password. Only where it speaks of
        // an option's value does it name the option and nothing else.
        let said = postgres_text(&error);
        let why = if said.contains("invalid value for option") { format!(" ({said})") } else { String::new() };
        LifecycleError::BadCluster(format!(
            "the DSN cannot be read{why}; write postgresql://user:password@host:5432/postgres, anything but letters and \
             digits in user and password percent-encoded"
        ))
    })?;
    dsn.config.options(LIMITS).application_name("sindico");
    Ok(dsn)
}

/// The same, to the database that it names or to another.
pub(crate) fn dsn_to(dsn: &str, database: Option<&str>) -> Result<Dsn, LifecycleError> {
    let mut dsn = parse_dsn(dsn)?;
    if let Some(database) = database {
        dsn.config.dbname(database);
    }
    Ok(dsn)
}

/// Who builds or removes a tenant.
#[derive(Clone, Copy)]
pub(crate) struct Builder<'a> {
    pub(crate) tenant: TenantId,
    /// The operation that this is part of, if it is part of one.
    pub(crate) work: Option<&'a Work>,
}

impl Builder<'_> {
    /// Makes sure that a session that has just been opened, or taken from those that are kept, may be used: whoever has taken the operation over has ended those that
    /// were there then.
    pub(crate) async fn still_may(self) -> Result<(), LifecycleError> {
        match self.work {
            Some(work) => Ok(work.holds().await?),
            None => Ok(()),
        }
    }
}

/// What sessions that build a tenant call themselves.
pub(crate) fn builder_name(tenant: TenantId) -> String {
    format!("sindico {}", tenant.hex())
}

impl Lifecycle {
    /// A superuser's session on a cluster, in the database that its DSN names or in another.
    pub(crate) async fn admin(&self, cluster: Uuid, database: Option<&str>) -> Result<Session, LifecycleError> {
        Session::open(cluster, dsn_to(&self.catalog.cluster_dsn(cluster).await?, database)?).await
    }

    /// The same, with what the server says beside its answers.
    pub(crate) async fn hearing(
        &self,
        by: Option<Builder<'_>>,
        cluster: Uuid,
    ) -> Result<(Session, UnboundedReceiver<String>), LifecycleError> {
        let mut dsn = parse_dsn(&self.catalog.cluster_dsn(cluster).await?)?;
        if let Some(Builder { tenant, .. }) = by {
            dsn.config.application_name(builder_name(tenant));
        }
        let opened = Session::open_hearing(cluster, dsn).await?;
        if let Some(by) = by {
            by.still_may().await?;
        }
        Ok(opened)
    }

    /// The same for building one tenant. The session says whom it works for, because PostgreSQL finishes a statement whose
    /// client has died: whoever undoes the work has to end it first ([`Lifecycle::evict`]).
    pub(crate) async fn builder(
        &self,
        by: Builder<'_>,
        cluster: Uuid,
        database: Option<&str>,
    ) -> Result<Session, LifecycleError> {
        let mut dsn = dsn_to(&self.catalog.cluster_dsn(cluster).await?, database)?;
        dsn.config.application_name(builder_name(by.tenant));
        let session = Session::open(cluster, dsn).await?;
        by.still_may().await?;
        Ok(session)
    }

    /// A session as a tenant's own role, with nothing but that role's rights.
    pub(crate) async fn as_role(&self, placement: &domain::Placement, role: Role) -> Result<Session, LifecycleError> {
        let mut dsn = parse_dsn(&self.catalog.cluster_dsn(placement.cluster).await?)?;
        dsn.config
            .user(role.to_string())
            .password(self.catalog.master().role_password(placement.cluster, role))
            .dbname(&placement.database)
            .options(format!(
                "{LIMITS} {SEED_LIMITS} -c search_path={}",
                placement.search_path(role.tenant()).replace(' ', "")
            ));
        Session::open(placement.cluster, dsn).await
    }
}
