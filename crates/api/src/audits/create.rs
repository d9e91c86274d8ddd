//! `POST /audits`.

use audit::{Progress, Standing, Target};
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::Door;
use crate::audits::{AuditView, refused};
use crate::body::Body;
use crate::problem::Problem;
use crate::tenants::named;

/// What to audit.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAuditBody {
    /// Id or slug: only the app, the isolation and the cluster of this tenant, which is itself left alone. Everything when
    /// absent.
    #[schema(example = "happy-paws")]
    tenant: Option<String>,
}

/// Begins an audit: makes two tenants in each isolation, lets one attack the other in every known way, inspects the
/// clusters' catalogs, and removes the tenants again. One runs at a time.
#[utoipa::path(post, path = "/audits", operation_id = "createAudit",
    tag = "audits", security(("admin" = [])), request_body = NewAuditBody,
    responses(
        (status = 202, body = AuditView, headers(("location" = String, description = "Where to follow it"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem)))]
pub(crate) async fn create(
    State(door): State<Door>,
    Body(new): Body<NewAuditBody>,
) -> Result<impl IntoResponse, Problem> {
    let tenant = new.tenant.as_deref().map(named).transpose()?;
    let id = door.auditor.start(Target { tenant, families: Vec::new() }).await.map_err(refused)?;
    let view = AuditView::new(id, &Standing::Running(Progress::default()));
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, format!("/api/v1/audits/{id}"))], Json(view)))
}
