//! `POST /tenants/{tenant}/keys`.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use catalog::NewKey;
use domain::Access;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;

use crate::Door;
use crate::body::{Body, Path};
use crate::keys::KeyView;
use crate::problem::Problem;
use crate::tenants::owner;
use crate::words::AccessWord;

/// Ten years.
const MAX_LIFE_SECONDS: i64 = 315_360_000;
const MAX_LABEL_CHARS: usize = 100;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKeyBody {
    /// What its owner calls it, up to 100 characters.
    #[schema(
        example = "nightly report",
        min_length = 1,
        max_length = 100,
        pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$"
    )]
    label: String,
    /// `read_write` (when absent) or `read_only`.
    #[schema(value_type = Option<AccessWord>)]
    access: Option<Access>,
    /// Seconds from now, up to ten years; never when absent. Connections that are open then stay, for up to a week.
    #[schema(minimum = 1, maximum = 315_360_000)]
    expires_in: Option<i64>,
}

/// A new key and its secret, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedKeyView {
    #[serde(flatten)]
    about: KeyView,
    /// The secret; síndico keeps only a verifier.
    key: String,
    /// A connection string with it, as any PostgreSQL client takes it.
    dsn: String,
}

/// Gives a tenant one more key.
#[utoipa::path(post, path = "/tenants/{tenant}/keys", operation_id = "createKey",
    tag = "keys", security(("admin" = [])),
    params(("tenant" = String, Path, description = "Id or slug")), request_body = NewKeyBody,
    responses((status = 201, body = CreatedKeyView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 404, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn create(
    State(door): State<Door>,
    Path(word): Path<String>,
    Body(new): Body<NewKeyBody>,
) -> Result<impl IntoResponse, Problem> {
    let chars = new.label.chars().count();
    if new.label.trim().is_empty() || chars > MAX_LABEL_CHARS || new.label.chars().any(char::is_control) {
        let detail = format!("label has to be 1 to {MAX_LABEL_CHARS} characters on one line");
        return Err(Problem::field("/label", detail));
    }
    if let Some(seconds) = new.expires_in.filter(|seconds| !(1..=MAX_LIFE_SECONDS).contains(seconds)) {
        let detail = format!("expires_in {seconds} is out of range; give 1 to {MAX_LIFE_SECONDS} seconds");
        return Err(Problem::field("/expires_in", detail));
    }
    let tenant = owner(&door, &word).await?;
    let new = NewKey {
        label: &new.label,
        access: new.access.unwrap_or(Access::ReadWrite),
        expires_at: new.expires_in.map(|seconds| OffsetDateTime::now_utc() + Duration::seconds(seconds)),
    };
    // The tenant may be deleted at this very moment.
    let made = door.catalog.add_key(tenant.id, &new).await?;
    let (key, secret) = made.ok_or_else(|| Problem::tenant_not_found(&word))?;
    let dsn = door.gateway.dsn(&tenant.slug, secret.reveal(), &tenant.app);
    let view = CreatedKeyView { about: key.into(), key: secret.reveal().to_owned(), dsn };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(view)))
}
