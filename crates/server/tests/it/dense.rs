//! The login that serves many tenants: who it takes itself to serve, what it may do, and what one leaves the next.

mod identity;
mod limits;
mod refused;
mod reuse;
mod scope;

use pool::{Dialogue, Lease, Pool, PoolSettings, SessionParams};
use serde_json::Value;
use tenancy::{TenantHandle, Threshold, Words};
use tokio_postgres::{Client, Config};

use crate::bed::{Bed, connect, dsn};

/// A threshold with a pool of the test's own, of so many connections to a cluster.
fn threshold(bed: &Bed, connections: usize) -> Threshold {
    let settings = PoolSettings { max_per_cluster: connections, ..PoolSettings::default() };
    Threshold::new(bed.catalog().clone(), Pool::new(settings), 100)
}

/// Crosses the threshold with the key that a tenant, or a new key of it, was made with.
fn admit(threshold: &Threshold, made: &Value) -> TenantHandle {
    let config: Config = dsn(made).parse().expect("a connection string");
    let (user, database) = (config.get_user().expect("a user"), config.get_dbname().expect("a database"));
    let key = str::from_utf8(config.get_password().expect("a key")).expect("text");
    let identity = threshold
        .claim(&Words { user, server_name: None, option: None }, database)
        .expect("known")
        .with_key(key)
        .expect("the right key");
    threshold.admit(identity).expect("admitted")
}

/// A session of the dense login that nobody has proven anything on.
async fn bare(bed: &Bed) -> Client {
    let names = bed.app.names();
    let cluster = bed.catalog().clusters().await.expect("clusters").into_iter().find(|cluster| !cluster.dedicated);
    let cluster = cluster.expect("the main cluster");
    let password = bed.catalog().master().dense_password(cluster.id, &names.dense);
    let dsn = bed.server_dsn(0, &names.database);
    let (_, address) = dsn.split_once('@').expect("a DSN");
    connect(&format!("postgresql://{}:{password}@{address}", names.dense)).await.expect("the dense login")
}

/// A connection in a tenant's name, for SQL of the tenant's own.
async fn dense(handle: &TenantHandle) -> Dialogue {
    lease(handle).await.converse().await.expect("a driver")
}

async fn lease(handle: &TenantHandle) -> Lease {
    handle.connect_dense(&SessionParams::default()).await.expect("a connection")
}
