//! `/audits`: proof that no known attack leaves a tenant.

pub(crate) mod create;
pub(crate) mod get;

use audit::{AuditError, Report, Standing};
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tracing::error;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::problem::Problem;

/// An audit, and what it has found once it has ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditView {
    /// UUID version 7.
    id: Uuid,
    /// `running`, `done` or `failed`.
    #[schema(value_type = String)]
    status: &'static str,
    /// Attacks that have been tried; null when it has ended.
    done: Option<usize>,
    /// Attacks that will be; null when it has ended.
    of: Option<usize>,
    /// Why it failed.
    reason: Option<String>,
    /// Neither an escape nor a finding; null while there is no report.
    clean: Option<bool>,
    /// `seconds`, `tallies` by family, isolation and door, `incidents`, `findings` in the clusters' catalogs with the SQL
    /// that mends them, and what could not be run.
    #[schema(value_type = Option<Object>)]
    report: Option<Value>,
}

impl AuditView {
    fn new(id: Uuid, standing: &Standing) -> Self {
        let mut view = Self { id, status: "running", done: None, of: None, reason: None, clean: None, report: None };
        match standing {
            Standing::Running(progress) => (view.done, view.of) = (Some(progress.done), Some(progress.of)),
            Standing::Done(report) => {
                view.status = "done";
                view.clean = Some(Report::is_clean(report));
                view.report = serde_json::to_value(report.as_ref()).ok();
            }
            Standing::Failed(reason) => {
                view.status = "failed";
                view.reason = Some(reason.clone());
            }
        }
        view
    }
}

/// Why an audit does not begin.
pub(crate) fn refused(error: AuditError) -> Problem {
    match error {
        AuditError::UnknownTenant(name) => Problem::tenant_not_found(&name),
        AuditError::Catalog(error) => Problem::from(error),
        AuditError::Busy => {
            Problem::new(StatusCode::CONFLICT, "AUDIT_RUNNING", "Another audit is running", error.to_string())
        }
        other => {
            error!(error = %other, "an audit does not begin");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error", other.to_string())
        }
    }
}
