//! The control API as its clients meet it, over HTTP.

mod health;
mod keys;
mod listing;
mod metrics;
mod openapi;
mod operations;
mod races;
mod refusals;
mod schema;
mod tenants;
mod threshold;

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Method, RequestBuilder};
use serde_json::Value;

use crate::bed::{Bed, TOKEN};

/// An answer with everything that clients can see of it.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// Null when the body is empty.
    pub(crate) body: Value,
}

/// Asks as an operator.
pub(crate) async fn operator(bed: &Bed, method: Method, path: &str, body: Option<Value>) -> Reply {
    let request = bed.raw(method, &format!("/api/v1{path}")).bearer_auth(TOKEN);
    send(match body {
        Some(body) => request.json(&body),
        None => request,
    })
    .await
}

pub(crate) async fn send(request: RequestBuilder) -> Reply {
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = response.bytes().await.expect("a body");
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| panic!("{status} with a body that is not JSON: {}", String::from_utf8_lossy(&bytes)))
    };
    Reply { status, headers, body }
}

impl Reply {
    /// A header's text; empty when the answer lacks it.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// An RFC 9457 problem with this status and code, complete in every member.
    pub(crate) fn is_problem(&self, status: u16, code: &str) -> &Self {
        assert_eq!(self.status, status, "{self:#?}");
        assert_eq!(self.header(CONTENT_TYPE.as_str()), "application/problem+json", "{self:#?}");
        assert_eq!(self.body["code"], code, "{self:#?}");
        assert_eq!(self.body["status"], status, "{self:#?}");
        assert_eq!(self.body["type"], format!("urn:sindico:problem:{code}"), "{self:#?}");
        for text in ["title", "detail"] {
            assert!(self.body[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {self:#?}");
        }
        self
    }

    /// A problem that names what was wrong, and only that.
    pub(crate) fn points_at(&self, pointer: &str) -> &Self {
        let errors = self.body["errors"].as_array().unwrap_or_else(|| panic!("no errors: {self:#?}"));
        let pointers: Vec<&str> = errors.iter().filter_map(|error| error["pointer"].as_str()).collect();
        assert_eq!(pointers, [pointer], "{self:#?}");
        assert!(errors[0]["detail"].as_str().is_some_and(|text| !text.is_empty()), "{self:#?}");
        self
    }

    /// A problem whose text says this.
    pub(crate) fn says(&self, words: &str) -> &Self {
        assert!(self.body["detail"].as_str().is_some_and(|text| text.contains(words)), "{words:?}: {self:#?}");
        self
    }
}
