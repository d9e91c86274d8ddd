//! The index of the API.

use std::any::Any;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router, middleware};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::trace::TraceLayer;
use tracing::{Span, debug_span};
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Content, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::body::MAX_BODY;
use crate::problem::Problem;
use crate::{
    Door, admin, apps, archives, audits, backups, clusters, health, keys, members, metrics, migrations, operations,
    orphans, retention, schedules, schema, tenant, tenants, usage, views,
};

/// The longest change is registering an app with many tables on many clusters.
const MAX_TIME: Duration = Duration::from_mins(5);

#[derive(OpenApi)]
#[openapi(
    info(
        title = "síndico control API",
        description = "Apps, clusters and tenants of a síndico installation. Errors are RFC 9457 problems with a stable `code`."
    ),
    modifiers(&BearerSchemes),
    tags(
        (name = "tenants", description = "Customers of an app"),
        (name = "keys", description = "Tenants' credentials for machines"),
        (name = "members", description = "People who belong to tenants"),
        (name = "apps", description = "Applications that tenants use"),
        (name = "migrations", description = "Which migrations an app's tenants have, and giving them more"),
        (name = "clusters", description = "PostgreSQL servers that tenants are placed on"),
        (name = "backups", description = "Copies of tenants in an object store"),
        (name = "archives", description = "Rows that retention has taken out of tenants' tables"),
        (name = "operations", description = "Durable work, and how far it is"),
        (name = "schedules", description = "What begins by itself, and when"),
        (name = "usage", description = "What tenants use, and have used"),
        (name = "audits", description = "Proof that no known attack leaves a tenant"),
        (name = "tenant", description = "A tenant's own view of itself"),
        (name = "health", description = "Whether this síndico works")
    )
)]
struct Description;

struct BearerSchemes;

impl Modify for BearerSchemes {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        for (name, about) in [("admin", "The installation's admin token"), ("tenant_key", "One of the tenant's keys")] {
            let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(about)).build();
            components.add_security_scheme(name, SecurityScheme::Http(scheme));
        }
    }
}

fn routes() -> (OpenApiRouter<Door>, OpenApiRouter<Door>) {
    let operators = OpenApiRouter::new()
        .routes(routes!(tenants::list::list, tenants::create::create))
        .routes(routes!(tenants::get::get, tenants::patch::patch, tenants::delete::delete))
        .routes(routes!(schema::create::create, schema::drop::drop))
        .routes(routes!(views::get::get, views::put::put, views::drop::drop))
        .routes(routes!(keys::list::list, keys::create::create))
        .routes(routes!(keys::revoke::revoke))
        .routes(routes!(members::list::list))
        .routes(routes!(members::ask::ask))
        .routes(routes!(apps::list::list, apps::add::add))
        .routes(routes!(migrations::get::get, migrations::apply::apply))
        .routes(routes!(migrations::plan::plan))
        .routes(routes!(migrations::rehearse::rehearse))
        .routes(routes!(migrations::verify::verify))
        .routes(routes!(clusters::list::list, clusters::add::add))
        .routes(routes!(backups::list::list))
        .routes(routes!(backups::get::get, backups::delete::delete))
        .routes(routes!(backups::verify::verify))
        .routes(routes!(backups::restore::restore))
        .routes(routes!(backups::rows::rows))
        .routes(routes!(backups::create::create))
        .routes(routes!(backups::replace::replace))
        .routes(routes!(archives::list::list))
        .routes(routes!(archives::get::get, archives::delete::delete))
        .routes(routes!(archives::rows::rows))
        .routes(routes!(backups::coverage::coverage, backups::create_all::create_all))
        .routes(routes!(retention::get::get))
        .routes(routes!(retention::run::run))
        .routes(routes!(retention::show::show, retention::put::put))
        .routes(routes!(orphans::list::list))
        .routes(routes!(orphans::sweep::sweep))
        .routes(routes!(operations::list::list))
        .routes(routes!(operations::get::get))
        .routes(routes!(operations::cancel::cancel))
        .routes(routes!(schedules::list::list, schedules::create::create))
        .routes(routes!(schedules::get::get, schedules::patch::patch, schedules::delete::delete))
        .routes(routes!(usage::get::get, usage::collect::collect))
        .routes(routes!(usage::history::history))
        .routes(routes!(audits::create::create))
        .routes(routes!(audits::get::get));
    let everybody = OpenApiRouter::new()
        .routes(routes!(tenant::tenant))
        .routes(routes!(members::confirm::confirm))
        .routes(routes!(health::health));
    (operators, everybody)
}

/// The OpenAPI 3.1 description of every route.
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (operators, everybody) = routes();
    let described = OpenApiRouter::with_openapi(Description::openapi());
    let mut description = described.nest("/api/v1", operators.merge(everybody)).into_openapi();
    for item in description.paths.paths.values_mut() {
        let methods = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        methods.into_iter().flatten().for_each(describe_problems);
    }
    description
}

/// What every operation has in common: problems have a media type of their own (RFC 9457, section 3), and síndico or its
/// control database can fail under any of them.
fn describe_problems(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for (status, about) in [
        (StatusCode::INTERNAL_SERVER_ERROR, "síndico failed"),
        (StatusCode::SERVICE_UNAVAILABLE, "The control database does not answer, or síndico is stopping"),
        (StatusCode::GATEWAY_TIMEOUT, "The request took too long"),
    ] {
        let problem = Content::new(Some(Ref::from_schema_name(Problem::name())));
        let response = ResponseBuilder::new().description(about).content("application/json", problem);
        responses.entry(status.as_str().to_owned()).or_insert_with(|| response.build().into());
    }
    for response in responses.values_mut() {
        if let RefOr::T(response) = response
            && let Some(RefOr::T(content)) = response.content.get("application/json")
            && matches!(&content.schema, Some(RefOr::Ref(it)) if it.ref_location.ends_with("/Problem"))
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert("application/problem+json".to_owned(), content);
        }
    }
}

/// Everything that the door answers.
pub fn router(door: Door) -> Router {
    let description = openapi();
    let (operators, everybody) = routes();
    let guard = middleware::from_fn_with_state(door.clone(), admin::require);
    let api = Router::from(operators)
        .route_layer(guard)
        .merge(Router::from(everybody))
        .route("/openapi.json", get(move || async move { Json(description) }));
    // Tenants' ids and loads are no public matter.
    let collectors = middleware::from_fn_with_state(door.clone(), admin::require);
    let request_id = HeaderName::from_static("x-request-id");
    Router::new()
        .nest("/api/v1", api)
        .route("/health", get(health::health))
        .route("/confirm", get(members::page::show).post(members::page::confirm))
        .merge(Router::new().route("/metrics", get(metrics::metrics)).route_layer(collectors))
        .fallback(unknown_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::from_fn(in_time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(PropagateRequestIdLayer::new(request_id.clone()))
        .layer(SetRequestIdLayer::new(request_id, MakeRequestUuid))
        .with_state(door)
}

/// Without the query, which may hold the token of a letter.
fn span(request: &Request) -> Span {
    debug_span!("request", method = %request.method(), path = request.uri().path())
}

async fn in_time(request: Request, next: Next) -> Result<Response, Problem> {
    tokio::time::timeout(MAX_TIME, next.run(request)).await.map_err(|_elapsed| {
        let detail = "the request took too long; a change that it began goes on, so look before asking again";
        Problem::new(StatusCode::GATEWAY_TIMEOUT, "TIMEOUT", "Request took too long", detail)
    })
}

async fn unknown_route() -> Problem {
    let detail = "there is no such route; GET /api/v1/openapi.json describes those that are";
    Problem::new(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", "Route not found", detail)
}

async fn wrong_method() -> Problem {
    let detail = "this route does not take that method; GET /api/v1/openapi.json tells which";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed", detail)
}

fn panicked(_cause: Box<dyn Any + Send>) -> Response {
    let detail = "síndico failed on this request; its log says where";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Internal error", detail).into_response()
}
