//! Reading requests so that every fault names its field.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

use crate::problem::Problem;

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
            Problem::new(rejection.status(), "BODY_UNREADABLE", "Body could not be read", rejection.body_text())
        })?;
        parse(&bytes).map(Self)
    }
}

pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        if error.inner().is_data() {
            Problem::field(pointer(error.path()), plain(error.inner()))
        } else {
            malformed(error.inner())
        }
    })?;
    reader.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> Problem {
    let detail = format!("the body is not JSON: {error}");
    Problem::new(StatusCode::BAD_REQUEST, "MALFORMED_JSON", "Malformed JSON", detail)
}

/// `serde_json` ends its messages with a position, which a pointer says better.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(message, _)| message.to_owned())
}

/// RFC 6901.
fn pointer(path: &Path) -> String {
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } | Segment::Enum { variant: key } => {
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
            }
            Segment::Unknown => {}
        }
    }
    if pointer.is_empty() { "/".to_owned() } else { pointer }
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
            ("{}", 422, "slug"),
            ("[]", 422, "/"),
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
