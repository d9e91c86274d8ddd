//! What processes have counted of tenants' clients.

use domain::TenantId;
use uuid::Uuid;

use crate::{Catalog, CatalogError};

/// What a tenant's clients have done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Transactions that have ended.
    pub transactions: i64,
    /// Statements that were answered; several pipelined ones count as one.
    pub queries: i64,
    /// Errors that servers answered with.
    pub errors: i64,
    /// Bytes from clients.
    pub received: i64,
    /// Bytes to clients.
    pub sent: i64,
}

/// What one process has counted of a tenant since it began to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Whose.
    pub tenant: TenantId,
    /// Clients that are connected.
    pub clients: i64,
    /// What they have done.
    pub traffic: Traffic,
}

impl Catalog {
    /// A process begins to count, under an id that nobody has had.
    pub async fn begin_counting(&self, process: Uuid) -> Result<(), CatalogError> {
        sqlx::query!("INSERT INTO sindico.usage_processes (id) VALUES ($1)", process).execute(&self.db).await?;
        Ok(())
    }

    /// Writes what a process has counted so far, of the tenants that there still are. Writing it again changes nothing. `false` if the
    /// process was thought to be no more: what it had written counts, and it is to go on under another id, from zero.
    pub async fn put_counters(&self, process: Uuid, counters: &[Counter]) -> Result<bool, CatalogError> {
        let mut tx = self.db.begin().await?;
        let known =
            sqlx::query!("UPDATE sindico.usage_processes SET seen_at = clock_timestamp() WHERE id = $1", process)
                .execute(&mut *tx)
                .await?;
        if known.rows_affected() == 0 {
            return Ok(false);
        }
        let tenants: Vec<Uuid> = counters.iter().map(|it| it.tenant.as_uuid()).collect();
        let column = |of: fn(&Counter) -> i64| counters.iter().map(of).collect::<Vec<i64>>();
        sqlx::query!(
            "INSERT INTO sindico.usage_counters (tenant, process, clients, transactions, queries, errors, received, sent)
             SELECT t.id, $1, c.clients, c.transactions, c.queries, c.errors, c.received, c.sent
             FROM unnest($2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
                      AS c (tenant, clients, transactions, queries, errors, received, sent)
             JOIN sindico.tenants t ON t.id = c.tenant
             FOR KEY SHARE OF t
             ON CONFLICT (tenant, process) DO UPDATE SET clients = excluded.clients, transactions = excluded.transactions,
                 queries = excluded.queries, errors = excluded.errors, received = excluded.received, sent = excluded.sent",
            process,
            &tenants,
            &column(|it| it.clients),
            &column(|it| it.traffic.transactions),
            &column(|it| it.traffic.queries),
            &column(|it| it.traffic.errors),
            &column(|it| it.traffic.received),
            &column(|it| it.traffic.sent),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Adds up what processes have counted that nobody has heard of for so many hours, so that restarts leave no rows for ever. Says
    /// how many there were.
    pub async fn fold_counters(&self, hours: i32) -> Result<usize, CatalogError> {
        let mut tx = self.db.begin().await?;
        // One of them that is there after all waits here, and then finds itself taken out.
        let gone = sqlx::query_scalar!(
            "SELECT id FROM sindico.usage_processes WHERE seen_at < clock_timestamp() - make_interval(hours => $1)
             FOR UPDATE SKIP LOCKED",
            hours,
        )
        .fetch_all(&mut *tx)
        .await?;
        if gone.is_empty() {
            return Ok(0);
        }
        sqlx::query!(
            "WITH taken AS (DELETE FROM sindico.usage_counters WHERE process = ANY ($1) RETURNING *)
             INSERT INTO sindico.usage_counters AS c (tenant, process, clients, transactions, queries, errors, received, sent)
             SELECT tenant, $2, 0, sum(transactions)::bigint, sum(queries)::bigint, sum(errors)::bigint, sum(received)::bigint,
                    sum(sent)::bigint
             FROM taken GROUP BY tenant
             ON CONFLICT (tenant, process) DO UPDATE SET transactions = c.transactions + excluded.transactions,
                 queries = c.queries + excluded.queries, errors = c.errors + excluded.errors,
                 received = c.received + excluded.received, sent = c.sent + excluded.sent",
            &gone,
            Uuid::nil(),
        )
        .execute(&mut *tx)
        .await?;
        sqlx::query!("DELETE FROM sindico.usage_processes WHERE id = ANY ($1)", &gone).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(gone.len())
    }
}
