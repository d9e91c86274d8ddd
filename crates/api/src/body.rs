//! Reading requests so that every fault names its field.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_path_to_error::Segment;

use crate::problem::Problem;

/// The largest body, in bytes: an app's whole SQL comes in one.
pub(crate) const MAX_BODY: usize = 16 << 20;

/// A JSON body.
pub(crate) struct Body<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let kind =
            request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = kind.split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "NOT_JSON",
                "Body is not JSON",
                format!("content type {media_type:?} is not understood; send application/json"),
            ));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                let detail = format!("the body is larger than {} MiB; send less at once", MAX_BODY >> 20);
                return Problem::new(rejection.status(), "BODY_TOO_LARGE", "Body too large", detail);
            }
            let detail = format!("{}; send the request again", rejection.body_text());
            Problem::new(StatusCode::BAD_REQUEST, "BODY_UNREADABLE", "Body could not be read", detail)
        })?;
        parse(&bytes).map(Self)
    }
}

/// Reads a JSON object. First whether it is JSON at all: on the way to a type, serde calls some values malformed that are
/// only of another kind than the field takes.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| malformed(&error))?;
    let _syntax: IgnoredAny = serde_json::from_str(text).map_err(|error| malformed(&error))?;
    // Serde would also take the fields of a struct as an array, in their order, which no client should learn to rely on.
    if !text.trim_start().starts_with('{') {
        return Err(Problem::field("", "the body has to be a JSON object"));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let detail = if error.inner().is_data() {
            plain(error.inner())
        } else {
            "the field takes a value of another kind; GET /api/v1/openapi.json tells which".to_owned()
        };
        Problem::field(pointer(error.path(), missing_field(&detail)), detail)
    })
}

fn malformed(error: &dyn std::error::Error) -> Problem {
    let detail = format!("the body is not JSON: {error}");
    Problem::new(StatusCode::BAD_REQUEST, "MALFORMED_JSON", "Malformed JSON", detail)
}

/// `serde_json` ends its messages with a position, which a pointer says better.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

/// The field that serde misses; its path ends at the object that should have had it.
fn missing_field(message: &str) -> Option<&str> {
    message.strip_prefix("missing field `")?.strip_suffix('`')
}

/// RFC 6901; the empty text is the whole body.
fn pointer(path: &serde_path_to_error::Path, last: Option<&str>) -> String {
    let mut pointer = String::new();
    let mut push = |key: &str| {
        pointer.push('/');
        pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
    };
    for segment in path {
        match segment {
            Segment::Seq { index } => push(&index.to_string()),
            Segment::Map { key } | Segment::Enum { variant: key } => push(key),
            Segment::Unknown => {}
        }
    }
    if let Some(key) = last {
        push(key);
    }
    pointer
}

/// Parameters in the path.
pub(crate) struct Path<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Path(value)| Self(value)).map_err(|rejection| {
            let detail = format!("{}; write the address as percent-encoded UTF-8", rejection.body_text());
            Problem::new(StatusCode::BAD_REQUEST, "MALFORMED_PATH", "Malformed path", detail)
        })
    }
}

/// Query parameters.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = axum::extract::Query::<T>::from_request_parts(parts, state).await;
        read.map(|axum::extract::Query(value)| Self(value)).map_err(|rejection| {
            let detail = rejection.body_text();
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "INVALID_QUERY", "Invalid query parameter", detail)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        slug: domain::Slug,
    }

    #[test]
    fn faults_name_their_field() {
        for (body, status, named) in [
            (r#"{"slug": "A"}"#, 422, "/slug"),
            (r#"{"slug": 3}"#, 422, "/slug"),
            (r#"{"slug": null}"#, 422, "/slug"),
            (r#"{"slug": "a", "x": 1}"#, 422, "/x"),
            ("{}", 422, "\"/slug\""),
            ("[]", 422, "pointer: \"\""),
            (r#"["a"]"#, 422, "JSON object"),
            (r#"{"slug": "a""#, 400, "line 1"),
            (r#"{"slug": "a"} x"#, 400, "line 1"),
            ("", 400, "line 1"),
        ] {
            let problem = parse::<Example>(body.as_bytes()).expect_err(body);
            assert_eq!(problem.status, status, "{body}");
            assert!(format!("{problem:?}").contains(named), "{body}: {problem:?}");
        }
        assert_eq!(parse::<Example>(br#"{"slug": "a"}"#).expect("fine").slug.as_str(), "a");
    }
}
