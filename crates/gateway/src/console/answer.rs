//! What the console does about a command, and what it says then.

use std::sync::Arc;

use bytes::BytesMut;
use domain::TenantId;
use wire::{backend, results};

use super::words::Command;
use super::{Console, Refused, ReloadChange};
use crate::serve::Gateway;

/// Runs a command and writes its rows, without their description, and its completion.
pub(super) async fn answer(
    gateway: &Gateway,
    console: &Console,
    command: Command,
    out: &mut BytesMut,
) -> Result<(), Refused> {
    match command {
        Command::Show(view) => {
            for row in view.rows(&gateway.threshold, || (console.settings)()) {
                results::data_row(out, row.iter().map(Option::as_deref));
            }
            backend::command_complete(out, "SHOW");
        }
        Command::Pause { tenant, force } => {
            let id = meant(gateway, &tenant)?;
            gateway.paused.pause(gateway, id, &tenant, force).await?;
            tracing::info!(tenant, force, "paused from the console");
            backend::command_complete(out, "PAUSE");
        }
        Command::Resume(tenant) => {
            let id = tenant.as_deref().map(|tenant| meant(gateway, tenant)).transpose()?;
            gateway.paused.resume(id)?;
            tracing::info!(tenant, "resumed from the console");
            backend::command_complete(out, "RESUME");
        }
        Command::Kill(tenant) => {
            let ended = gateway.threshold.end_visits(meant(gateway, &tenant)?);
            tracing::info!(tenant, ended, "disconnected from the console");
            backend::command_complete(out, &format!("KILL {ended}"));
        }
        Command::Reload => {
            let reload = Arc::clone(&console.reload);
            let done = tokio::task::spawn_blocking(move || reload()).await;
            let done = done.unwrap_or_else(|error| Err(error.to_string()));
            let changed =
                done.map_err(|why| Refused::new("F0000", why, "The settings are as they were; mend the file first."))?;
            for ReloadChange { key, value, in_force } in &changed {
                let in_force = if *in_force { "yes" } else { "after a restart" };
                results::data_row(out, [key.as_str(), value, in_force].into_iter().map(Some));
            }
            backend::command_complete(out, "RELOAD");
        }
        Command::Courtesy(tag) => backend::command_complete(out, tag),
    }
    Ok(())
}

fn meant(gateway: &Gateway, tenant: &str) -> Result<TenantId, Refused> {
    let unknown = || {
        let message = format!("tenant {tenant:?} not found");
        Refused::new("42704", message, "Give its slug or its id; SHOW TENANTS lists them.")
    };
    gateway.threshold.tenant(tenant).ok_or_else(unknown)
}
