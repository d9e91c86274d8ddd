//! The control API as commands use it.

use std::path::Path;

use anyhow::bail;
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::endpoints::{DEFAULT_DIR, Endpoints};

/// Where the API is, and with which token.
#[derive(Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    api: String,
    token: String,
}

/// Why a request failed.
#[derive(Debug)]
pub(crate) enum ClientError {
    /// No answer.
    Unreachable { api: String, reason: String },
    /// An answer that says no.
    Refused { status: StatusCode, problem: Value },
}

impl ClientError {
    /// The problem that the API answered with.
    pub(crate) fn problem(&self) -> Option<&Value> {
        match self {
            Self::Refused { problem, .. } => Some(problem),
            Self::Unreachable { .. } => None,
        }
    }
}

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable { api, reason } => {
                write!(f, "síndico does not answer at {api} ({reason}); is it running? `sindico up` starts one")
            }
            Self::Refused { status, problem } => match problem["detail"].as_str() {
                Some(detail) => f.write_str(detail),
                None => write!(f, "síndico answered {status} without saying why"),
            },
        }
    }
}

impl std::error::Error for ClientError {}

impl Client {
    /// Finds the instance: by `--dir`, else by `SINDICO_API` and `SINDICO_TOKEN`, else in `.sindico`.
    pub(crate) fn find(dir: Option<&Path>) -> anyhow::Result<Self> {
        let (api, token) = match (dir, variable("SINDICO_API"), variable("SINDICO_TOKEN")) {
            (None, Some(api), Some(token)) => (api.trim_end_matches('/').to_owned(), token),
            (None, Some(_), None) => bail!("SINDICO_API is set without SINDICO_TOKEN; set both"),
            (None, None, Some(_)) => bail!("SINDICO_TOKEN is set without SINDICO_API; set both"),
            (dir, _, _) => {
                let endpoints = Endpoints::read(dir.unwrap_or(Path::new(DEFAULT_DIR)))?;
                (endpoints.api, endpoints.admin_token)
            }
        };
        // The API is on loopback or behind the operator's own proxy, never behind one that the environment names.
        Ok(Self { http: reqwest::Client::builder().no_proxy().build()?, api, token })
    }

    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.send(Method::GET, path, None).await
    }

    /// Every item of a list that comes in pages, with what else the first page says. The path has a `?` already.
    pub(crate) async fn pages(&self, path: &str) -> anyhow::Result<(Value, Vec<Value>)> {
        self.pages_by("after", path).await
    }

    /// The same where the next page is asked for by another word.
    pub(crate) async fn pages_by(&self, word: &str, path: &str) -> anyhow::Result<(Value, Vec<Value>)> {
        let mut first = self.get(path).await?;
        let mut all = taken(&mut first);
        let mut next = first["next"].as_str().map(segment);
        while let Some(last) = next {
            let mut page = self.get(&format!("{path}&{word}={last}")).await?;
            all.append(&mut taken(&mut page));
            next = page["next"].as_str().map(segment);
        }
        Ok((first, all))
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::POST, path, Some(body)).await
    }

    /// The same, without waiting for the operation that it begins.
    pub(crate) async fn begin(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.exchange(method, path, body, true).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub(crate) async fn delete(&self, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.send(Method::DELETE, path, body).await
    }

    /// An answer that is read piece by piece.
    pub(crate) async fn stream(&self, path: &str) -> anyhow::Result<reqwest::Response> {
        let request = self.http.get(format!("{}/api/v1{path}", self.api)).bearer_auth(&self.token);
        let unreachable =
            |error: reqwest::Error| ClientError::Unreachable { api: self.api.clone(), reason: innermost(&error) };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let bytes = response.bytes().await.map_err(unreachable)?;
        let problem = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Err(ClientError::Refused { status, problem }.into())
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        self.exchange(method, path, body, false).await
    }

    async fn exchange(&self, method: Method, path: &str, body: Option<&Value>, no_wait: bool) -> anyhow::Result<Value> {
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.api)).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.json(body);
        }
        if no_wait {
            request = request.header("Prefer", "respond-async");
        }
        let unreachable =
            |error: reqwest::Error| ClientError::Unreachable { api: self.api.clone(), reason: innermost(&error) };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let bytes = response.bytes().await.map_err(unreachable)?;
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() { Ok(value) } else { Err(ClientError::Refused { status, problem: value }.into()) }
    }
}

fn taken(page: &mut Value) -> Vec<Value> {
    match page["items"].take() {
        Value::Array(items) => items,
        _ => Vec::new(),
    }
}

/// A path segment from what somebody typed.
pub(crate) fn segment(word: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    word.bytes().map(|byte| if keep(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// reqwest wraps the operating system's words several times.
fn innermost(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), innermost)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_inside_their_segment() {
        assert_eq!(segment("happy-paws"), "happy-paws");
        assert_eq!(segment("a/../b?c=d#e"), "a%2F..%2Fb%3Fc%3Dd%23e");
    }
}
