//! `POST /tenants`.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::{AppName, ClusterName, DisplayName, Isolation, Slug};
use lifecycle::{Created, NewTenant};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Door;
use crate::body::Body;
use crate::members::AdminBody;
use crate::operations::{accepted, wants_no_wait};
use crate::problem::Problem;
use crate::tenants::TenantView;
use crate::words::IsolationWord;

/// A tenant to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTenantBody {
    /// A DNS label, unique in the installation.
    #[schema(value_type = String, example = "happy-paws", min_length = 1, max_length = 63, pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")]
    slug: Slug,
    /// What people call it; the slug when absent.
    #[schema(value_type = Option<String>, example = "Happy Paws", min_length = 1, max_length = 200, pattern = "^[^\\x00-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x1f\\x7f-\\x9f][^\\x00-\\x1f\\x7f-\\x9f]*$")]
    name: Option<DisplayName>,
    /// Which app it uses; may be absent when only one is registered.
    #[schema(value_type = Option<String>, example = "petshop", max_length = 24, pattern = "^[a-z][a-z0-9_]*$")]
    app: Option<AppName>,
    /// `shared` when absent.
    #[schema(value_type = Option<IsolationWord>)]
    isolation: Option<Isolation>,
    /// A cluster's name; whichever has room when absent.
    #[schema(value_type = Option<String>, example = "main", max_length = 63, pattern = "^[a-z0-9_-]+$")]
    cluster: Option<ClusterName>,
    /// Who looks after it; nobody when absent.
    admin: Option<AdminBody>,
}

/// A new tenant and its first key, which is shown this once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreatedView {
    #[serde(flatten)]
    tenant: TenantView,
    /// The secret of its first key; síndico keeps only a verifier.
    key: String,
    /// A connection string with that key, as any PostgreSQL client takes it.
    dsn: String,
    /// The operation that has made it, or is making it: `GET /operations/{operation}`.
    operation: Uuid,
    /// Where its members work, if that is configured.
    dashboard_url: Option<String>,
}

impl CreatedView {
    pub(crate) fn new(door: &Door, created: Created) -> Self {
        let dsn = door.gateway.dsn(&created.tenant.slug, created.secret.reveal(), &created.tenant.app);
        let key = created.secret.reveal().to_owned();
        let dashboard_url = door.lifecycle.dashboard(&created.tenant.slug);
        Self { key, dsn, operation: created.operation, dashboard_url, tenant: created.tenant.into() }
    }

    pub(crate) fn operation(&self) -> Uuid {
        self.operation
    }
}

/// Makes a tenant, complete with roles, tables and the app's first rows. If anything fails, nothing is left. With the header
/// `Prefer: respond-async` (RFC 7240) the answer comes as soon as the operation is recorded, and the tenant is open when that has
/// succeeded.
#[utoipa::path(post, path = "/tenants", operation_id = "createTenant",
    tag = "tenants", security(("admin" = [])),
    params(("prefer" = Option<String>, Header, description = "`respond-async`: do not wait")),
    request_body = NewTenantBody,
    responses(
        (status = 202, body = CreatedView, headers(("location" = String, description = "The operation's address"))),
        (status = 201, body = CreatedView, headers(("location" = String, description = "Its address"))),
        (status = 400, body = Problem), (status = 401, body = Problem), (status = 409, body = Problem),
        (status = 413, body = Problem), (status = 415, body = Problem), (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn create(
    State(door): State<Door>,
    headers: HeaderMap,
    Body(new): Body<NewTenantBody>,
) -> Result<Response, Problem> {
    let name = match new.name {
        Some(name) => name,
        None => {
            new.slug.as_str().parse().map_err(|fault: domain::Invalid| Problem::field("/name", fault.to_string()))?
        }
    };
    let app = match new.app {
        Some(app) => app,
        None => only_app(&door).await?,
    };
    let isolation = new.isolation.unwrap_or(Isolation::Shared);
    let admin = new.admin.map(AdminBody::read).transpose()?;
    let wanted = NewTenant { slug: new.slug, name, app, isolation, cluster: new.cluster, admin };
    let no_wait = wants_no_wait(&headers);
    let desk = &door.lifecycle;
    let created = if no_wait { desk.begin_tenant(wanted).await? } else { desk.create_tenant(wanted).await? };
    let location = format!("/api/v1/tenants/{}", created.tenant.id);
    let view = CreatedView::new(&door, created);
    if no_wait {
        return Ok((StatusCode::ACCEPTED, accepted(view.operation), Json(view)).into_response());
    }
    // The answer holds a secret.
    let headers: [(HeaderName, String); 2] =
        [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".to_owned())];
    Ok((StatusCode::CREATED, headers, Json(view)).into_response())
}

async fn only_app(door: &Door) -> Result<AppName, Problem> {
    let apps = door.catalog.apps().await?;
    match apps.as_slice() {
        [one] => Ok(one.name.clone()),
        [] => Err(Problem::field("/app", "no app is registered; register one with `sindico app add <dir>`")),
        several => {
            let names: Vec<&str> = several.iter().map(|app| app.name.as_str()).collect();
            Err(Problem::field("/app", format!("say which app the tenant uses: {}", names.join(", "))))
        }
    }
}
