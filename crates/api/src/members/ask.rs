//! `POST /tenants/{tenant}/members/{member}/confirmation`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use uuid::Uuid;

use crate::Door;
use crate::body::Path;
use crate::operations::{OperationDetail, located};
use crate::problem::Problem;
use crate::tenants::named;

/// Sends a member another letter that asks whether the address is theirs.
#[utoipa::path(post, path = "/tenants/{tenant}/members/{member}/confirmation", operation_id = "askMember",
    tag = "members", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug"), ("member" = String, Path, description = "The member's id")),
    responses((status = 202, body = OperationDetail, headers(("location" = String, description = "The operation's address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 404, body = Problem),
        (status = 409, body = Problem)))]
pub(crate) async fn ask(
    State(door): State<Door>,
    Path((word, member)): Path<(String, String)>,
) -> Result<impl IntoResponse, Problem> {
    let member = member.parse::<Uuid>().map_err(|_| unknown(format!("{member:?} is no member's id")))?;
    let id = door.lifecycle.begin_confirmation(&named(&word)?, member).await?;
    let (operation, steps) = door.lifecycle.operation(id).await?;
    Ok((StatusCode::ACCEPTED, located(id), Json(OperationDetail::new(operation, steps))))
}

/// The answer for a member that the tenant does not have.
pub(crate) fn unknown(detail: String) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "MEMBER_NOT_FOUND", "Member not found", detail)
}
