//! `POST /confirmations`.

use axum::Json;
use axum::extract::State;
use lifecycle::Confirmed;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Door;
use crate::body::Body;
use crate::members::MemberView;
use crate::problem::Problem;

/// What a letter's link carries.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmationBody {
    /// As it stands in the link.
    #[schema(max_length = 54)]
    token: String,
}

/// Whose address is confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfirmedView {
    /// The tenant's id.
    tenant: Uuid,
    slug: String,
    member: MemberView,
    /// Where members work, if that is configured.
    dashboard_url: Option<String>,
}

impl From<Confirmed> for ConfirmedView {
    fn from(Confirmed { member, dashboard }: Confirmed) -> Self {
        Self {
            tenant: member.tenant.as_uuid(),
            slug: member.slug.to_string(),
            member: member.into(),
            dashboard_url: dashboard,
        }
    }
}

/// Confirms an address, for whoever has the letter. Doing it again changes nothing.
#[utoipa::path(post, path = "/confirmations", operation_id = "confirmAddress",
    tag = "members", request_body = ConfirmationBody,
    responses((status = 200, body = ConfirmedView), (status = 400, body = Problem), (status = 404, body = Problem),
        (status = 410, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn confirm(
    State(door): State<Door>,
    Body(body): Body<ConfirmationBody>,
) -> Result<Json<ConfirmedView>, Problem> {
    Ok(Json(door.lifecycle.confirm(&body.token).await?.into()))
}
