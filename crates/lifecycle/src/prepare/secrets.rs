//! What the databases' functions check proofs with.

use catalog::{Cluster, HmacBlocks};
use data_encoding::HEXLOWER;
use domain::AppName;
use tenantize::{Plan, Scope};

use crate::server::Session;
use crate::{Lifecycle, LifecycleError};

impl Lifecycle {
    /// Stores both keys, in the transaction that is open. The server is asked to keep them out of its log, whatever it
    /// logs otherwise.
    pub(super) async fn store_keys(
        &self,
        inside: &Session,
        app: &AppName,
        cluster: &Cluster,
    ) -> Result<(), LifecycleError> {
        let master = self.catalog.master();
        inside
            .run(
                "SET LOCAL log_statement = 'none'; SET LOCAL log_min_duration_statement = -1;
                 SET LOCAL log_min_duration_sample = -1; SET LOCAL log_transaction_sample_rate = 0;
                 SET LOCAL log_min_error_statement = 'panic'",
            )
            .await?;
        for (table, HmacBlocks { inner, outer }) in [
            ("token_key", master.token_key(cluster.id, app).blocks()),
            ("channel_key", master.channel_key(cluster.id, app).blocks()),
        ] {
            let (inner, outer) = (HEXLOWER.encode(&inner), HEXLOWER.encode(&outer));
            inside
                .run(&format!(
                    "INSERT INTO sindico_secret.{table} VALUES (decode('{inner}', 'hex'), decode('{outer}', 'hex'))"
                ))
                .await?;
        }
        inside
            .run(
                "SET LOCAL log_statement TO DEFAULT; SET LOCAL log_min_duration_statement TO DEFAULT;
                 SET LOCAL log_min_duration_sample TO DEFAULT; SET LOCAL log_transaction_sample_rate TO DEFAULT;
                 SET LOCAL log_min_error_statement TO DEFAULT",
            )
            .await
    }
}

/// Which sequences belong to which table, for `sindico.truncate`.
pub(crate) async fn record_sequences(inside: &Session, plan: &Plan) -> Result<(), LifecycleError> {
    inside.run("DELETE FROM sindico.owned_sequences").await?;
    for table in plan.tables().iter().filter(|table| table.scope == Scope::Tenant) {
        for sequence in &table.sequences {
            inside
                .execute("INSERT INTO sindico.owned_sequences VALUES ($1, $2)", &[&table.name, sequence])
                .await
                .map_err(|error| inside.fault(&error))?;
        }
    }
    Ok(())
}
