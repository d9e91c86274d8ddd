//! Errors as clients see them: RFC 9457 problem details with a stable `code`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A problem (RFC 9457, section 3.1). `code` is stable; texts may change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `urn:sindico:problem:` and the code.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The problem's kind in words, the same each time.
    #[schema(value_type = String)]
    pub(crate) title: &'static str,
    /// The HTTP status.
    pub(crate) status: u16,
    /// Stable, for programs.
    #[schema(value_type = String)]
    pub(crate) code: &'static str,
    /// What was wrong this time and what to do.
    pub(crate) detail: String,
    /// The title again for tenants that are unknown or not named, where clients of older systems look for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub(crate) error: Option<&'static str>,
    /// Which parts of the request were wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) errors: Vec<Fault>,
}

/// One wrong part of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fault {
    /// JSON pointer into the body (RFC 6901), the name of a query parameter, or `file:line` of an app's file.
    pub(crate) pointer: String,
    /// What is wrong with it.
    pub(crate) detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:sindico:problem:{code}"),
            title,
            status: status.as_u16(),
            code,
            detail: detail.into(),
            error: None,
            errors: Vec::new(),
        }
    }

    /// A value in the request that is well-formed and still wrong.
    pub(crate) fn field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_FIELD", "Invalid field", detail.clone());
        problem.errors.push(Fault { pointer: pointer.into(), detail });
        problem
    }

    /// Says which part of the request is meant.
    pub(crate) fn at(mut self, pointer: &str) -> Self {
        self.errors.push(Fault { pointer: pointer.to_owned(), detail: self.detail.clone() });
        self
    }

    /// The answer for a tenant that does not exist, with the members that older clients look for.
    pub(crate) fn tenant_not_found(name: &str) -> Self {
        let title = "Tenant not found";
        let detail = format!("there is no tenant {name:?}; GET /api/v1/tenants lists them");
        let mut problem = Self::new(StatusCode::NOT_FOUND, "TENANT_NOT_FOUND", title, detail);
        problem.error = Some(title);
        problem
    }

    /// The answer for a tenant's route without a tenant, with the members that older clients look for.
    pub(crate) fn tenant_required() -> Self {
        let title = "Tenant ID required";
        let detail = "this route is a tenant's: send its id or slug in the header X-Tenant-ID";
        let mut problem = Self::new(StatusCode::UNAUTHORIZED, "TENANT_ID_REQUIRED", title, detail);
        problem.error = Some(title);
        problem
    }

    /// A request without the right bearer token.
    pub(crate) fn unauthorized(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "Authentication required", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sindico\""));
        }
        response
    }
}
