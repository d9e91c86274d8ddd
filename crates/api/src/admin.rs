//! Operators' routes are closed to everybody else.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::Door;
use crate::problem::Problem;

/// Lets a request pass that carries the admin token.
pub(crate) async fn require(State(door): State<Door>, request: Request, next: Next) -> Result<Response, Problem> {
    match bearer(request.headers()) {
        Some(token) if door.admin.is(token) => Ok(next.run(request).await),
        Some(_) => Err(Problem::unauthorized("the bearer token is not the admin token of this síndico")),
        None => Err(Problem::unauthorized("send the admin token: Authorization: Bearer <token>")),
    }
}

/// The token of an `Authorization: Bearer` header (RFC 6750).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
