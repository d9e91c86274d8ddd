//! SQL that síndico writes itself, in one tenant's name.

use catalog::SealError;
use domain::{Access, Isolation, Role};
use pool::{Dialogue, PoolError, SessionParams};
use tokio_postgres::Row;
use tokio_postgres::types::{ToSql, Type};

use crate::login::Login;
use crate::seats::Inside;
use crate::{Refusal, TenantHandle};

/// A parameter with its type: with it, a statement needs no exchange of its own to be prepared.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

/// Why a statement in a tenant's name did not run.
#[derive(Debug, thiserror::Error)]
pub enum ScopeError {
    /// The tenant is held.
    #[error(transparent)]
    Held(#[from] Refusal),
    /// There is no connection.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The operating system gave no random bytes.
    #[error(transparent)]
    Token(#[from] SealError),
    /// PostgreSQL refused the statement, or went away.
    #[error(transparent)]
    Statement(#[from] tokio_postgres::Error),
    /// An earlier statement of the transaction has failed.
    #[error("an earlier statement of this transaction has failed; roll it back and begin again")]
    Broken,
    /// Only keys that may write, and only where tenants share tables, are served on the login of many.
    #[error("this key is not served on a shared login; connect as the tenant's own role")]
    NotDense,
}

/// One tenant's data, for SQL that síndico writes itself. There is nothing to get from it but statements and
/// transactions in this tenant's name; it comes from an admitted [`TenantHandle`] and ends before it.
///
/// A bare id makes none:
/// ```compile_fail
/// fn scope_of(id: domain::TenantId) -> tenancy::TenantScope<'static> {
///     tenancy::TenantScope { handle: id }
/// }
/// ```
/// and a scope does not outlive the handle, which is what holds the tenant's seat:
/// ```compile_fail
/// fn scope_of(handle: tenancy::TenantHandle) -> tenancy::TenantScope<'static> {
///     handle.scope()
/// }
/// ```
/// whereas this is the way:
/// ```
/// fn scope_of(handle: &tenancy::TenantHandle) -> tenancy::TenantScope<'_> {
///     handle.scope()
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TenantScope<'h> {
    handle: &'h TenantHandle,
}

impl TenantHandle {
    /// This tenant's data, for SQL that síndico writes itself.
    #[must_use]
    pub fn scope(&self) -> TenantScope<'_> {
        TenantScope { handle: self }
    }
}

impl<'h> TenantScope<'h> {
    /// Runs one statement in a transaction of its own and returns its rows. Where tenants share tables, identity,
    /// statement and commit go out together.
    pub async fn query(&self, sql: &str, params: &[Parameter<'_>]) -> Result<Vec<Row>, ScopeError> {
        let Bound { dialogue, opening, inside } = self.bind().await?;
        let client = dialogue.client();
        let rows = async { client.query_typed(sql, params).await };
        let rows = enclosed(&dialogue, &opening, rows).await?;
        dismiss(dialogue, inside);
        Ok(rows)
    }

    /// The same for a statement whose rows, if any, are only counted.
    pub async fn execute(&self, sql: &str, params: &[Parameter<'_>]) -> Result<u64, ScopeError> {
        let Bound { dialogue, opening, inside } = self.bind().await?;
        let client = dialogue.client();
        let count = async { client.execute_typed(sql, params).await };
        let count = enclosed(&dialogue, &opening, count).await?;
        dismiss(dialogue, inside);
        Ok(count)
    }

    /// Begins a transaction.
    pub async fn transaction(&self) -> Result<TenantTransaction<'h>, ScopeError> {
        let Bound { dialogue, opening, inside } = self.bind().await?;
        dialogue.client().batch_execute(&opening).await?;
        Ok(TenantTransaction { dialogue, inside, broken: false, _handle: self.handle })
    }

    /// A connection, and what begins a transaction in the tenant's name on it: on the login of many with the tenant's
    /// identity, which ends with the transaction; on the tenant's own login nothing is to be proven.
    async fn bind(&self) -> Result<Bound, ScopeError> {
        let inside = self.handle.presence().inside().await;
        let inside = inside.ok_or_else(|| Refusal::Held(self.handle.slug().clone()))?;
        let params = SessionParams::default();
        let mode = match self.handle.access() {
            Access::ReadWrite => "READ WRITE",
            Access::ReadOnly => "READ ONLY",
        };
        let mut opening = format!("BEGIN {mode}");
        let lease = if self.handle.newest().placement.isolation == Isolation::Shared {
            let lease = self.handle.log_in(Login::Dense, &params).await?;
            // Digits, letters and dots.
            let token = self.handle.token(&lease)?;
            opening.push_str(&format!(
                "; SELECT CASE WHEN NOT sindico.enter('{token}', true)
                   THEN sindico.refuse('28000', 'the identity was not accepted', 'Compare the clocks of both servers.') END"
            ));
            lease
        } else {
            let role = Role::new(self.handle.tenant(), self.handle.access());
            self.handle.log_in(Login::Own(role), &params).await?
        };
        Ok(Bound { dialogue: lease.converse().await?, opening, inside })
    }
}

/// A connection on which nothing has been said yet.
struct Bound {
    dialogue: Dialogue,
    opening: String,
    inside: Inside,
}

/// Beginning, statement and end in one flush, in this order. After a failed beginning the statement meets a connection
/// without identity, or the transaction's failure; after a failed statement the end is a rollback.
async fn enclosed<T>(
    dialogue: &Dialogue,
    opening: &str,
    statement: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, ScopeError> {
    let client = dialogue.client();
    let (began, answer, ended) =
        tokio::join!(biased; client.batch_execute(opening), statement, client.batch_execute("COMMIT"));
    began?;
    let answer = answer?;
    ended?;
    Ok(answer)
}

/// Gives the connection back where nobody waits for it.
fn dismiss(dialogue: Dialogue, inside: Inside) {
    tokio::spawn(async move {
        dialogue.finish().await;
        drop(inside);
    });
}

/// A transaction in one tenant's name. A guard: dropping it closes the connection, which undoes what was not committed.
#[derive(Debug)]
pub struct TenantTransaction<'h> {
    dialogue: Dialogue,
    /// After the connection, which is closed first.
    inside: Inside,
    /// A statement has failed, or was abandoned before its answer came.
    broken: bool,
    _handle: &'h TenantHandle,
}

impl TenantTransaction<'_> {
    /// Runs one statement and returns its rows.
    pub async fn query(&mut self, sql: &str, params: &[Parameter<'_>]) -> Result<Vec<Row>, ScopeError> {
        self.intact()?;
        let rows = self.dialogue.client().query_typed(sql, params).await?;
        self.broken = false;
        Ok(rows)
    }

    /// Runs one statement and returns how many rows it concerned.
    pub async fn execute(&mut self, sql: &str, params: &[Parameter<'_>]) -> Result<u64, ScopeError> {
        self.intact()?;
        let count = self.dialogue.client().execute_typed(sql, params).await?;
        self.broken = false;
        Ok(count)
    }

    /// Makes it last, unless a statement has failed: PostgreSQL answers that with a rollback, and no error.
    pub async fn commit(mut self) -> Result<(), ScopeError> {
        self.intact()?;
        self.end("COMMIT").await
    }

    /// Undoes it.
    pub async fn rollback(self) -> Result<(), ScopeError> {
        self.end("ROLLBACK").await
    }

    /// Taken for broken until the next answer is there.
    fn intact(&mut self) -> Result<(), ScopeError> {
        if std::mem::replace(&mut self.broken, true) { Err(ScopeError::Broken) } else { Ok(()) }
    }

    async fn end(self, how: &str) -> Result<(), ScopeError> {
        self.dialogue.client().batch_execute(how).await?;
        dismiss(self.dialogue, self.inside);
        Ok(())
    }
}
