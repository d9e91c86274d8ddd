//! `GET /audits/{audit}`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;

use crate::Door;
use crate::audits::AuditView;
use crate::body::Path;
use crate::problem::Problem;

/// How an audit stands. A process remembers the latest one that it began itself.
#[utoipa::path(get, path = "/audits/{audit}", operation_id = "getAudit",
    tag = "audits", security(("admin" = [])),
    params(("audit" = String, Path, description = "Its id")),
    responses((status = 200, body = AuditView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem)))]
pub(crate) async fn get(State(door): State<Door>, Path(word): Path<String>) -> Result<Json<AuditView>, Problem> {
    let found = word.parse().ok().and_then(|id| Some((id, door.auditor.standing(id)?)));
    let Some((id, standing)) = found else {
        let detail = format!("there is no audit {word:?} here; each process remembers the latest that it began");
        return Err(Problem::new(StatusCode::NOT_FOUND, "AUDIT_NOT_FOUND", "Audit not found", detail));
    };
    Ok(Json(AuditView::new(id, &standing)))
}
