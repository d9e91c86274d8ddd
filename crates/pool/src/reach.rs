//! Finds the server of a cluster that will do (PostgreSQL manual, 34.1.1.3).

use std::sync::atomic::{AtomicUsize, Ordering};

use domain::TargetSession;

use crate::connect::connect;
use crate::connection::Connection;
use crate::error::Trouble;
use crate::route::Purpose;
use crate::{PoolError, PoolSettings};

/// Opens a connection to the server that took the last one, or else to the next in order that is there and is what was
/// asked for. `preferred` is its number. What a server says against the login itself is final: the others have the same
/// roles.
pub(crate) async fn reach(
    purpose: &Purpose,
    settings: &PoolSettings,
    preferred: &AtomicUsize,
) -> Result<Connection, PoolError> {
    let servers = &purpose.route.servers;
    let mut second_best = None;
    let mut met = None;
    for (number, server) in servers.from(preferred.load(Ordering::Relaxed)) {
        match connect(purpose, server, settings).await {
            Ok(connection) if servers.target().accepts(connection.is_standby()) => {
                preferred.store(number, Ordering::Relaxed);
                return Ok(connection);
            }
            Ok(connection) if servers.target() == TargetSession::PreferStandby => {
                second_best.get_or_insert(connection);
            }
            Ok(_) => {}
            // Nothing has been said of the login to whoever that was. One that is away for a while only is the better reason.
            Err(error @ PoolError::Untrusted) => {
                met.get_or_insert(error);
            }
            Err(error) if error.trouble() == Trouble::Lasting => return Err(error),
            Err(error) => met = Some(error),
        }
    }
    second_best.ok_or_else(|| met.unwrap_or_else(unsuitable))
}

/// All are there, and none is what was asked for: one is being promoted, or the operator has asked for what there is not.
fn unsuitable() -> PoolError {
    PoolError::Unreachable { reason: "none of its servers is what target_session_attrs asks for at present".to_owned() }
}
