//! The description of the API, and whether the API keeps to it.

use reqwest::Method;
use serde_json::{Value, json};

use crate::api::send;
use crate::bed::{Bed, Options, TOKEN};

/// A route and method as the description has it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// With `{…}` where parameters go.
    pub(crate) path: String,
    /// The security schemes that it asks for.
    pub(crate) schemes: Vec<String>,
    pub(crate) takes_body: bool,
    responses: Vec<u16>,
}

impl Operation {
    /// The path of this tenant, and of a key that nobody has.
    pub(crate) fn path_with(&self, tenant: &str) -> String {
        let path = self.path.replace("{tenant}", tenant).replace("{key}", "0192f0c1-2345-7abc-8def-0123456789ab");
        let path = path.replace("{audit}", "0192f0c1-2345-7abc-8def-0123456789ab");
        let path = path.replace("{operation}", "0192f0c1-2345-7abc-8def-0123456789ab");
        let path = path.replace("{app}", "nobody").replace("{schedule}", "nothing").replace("{table}", "clients");
        let path = path.replace("{member}", "0192f0c1-2345-7abc-8def-0123456789ab");
        let path = path.replace("{backup}", "0192f0c1-2345-7abc-8def-0123456789ab");
        let path = path.replace("{archive}", "0192f0c1-2345-7abc-8def-0123456789ab");
        assert!(!path.contains('{'), "a parameter that this test does not know: {path}");
        path
    }
}

/// Every operation of the description, so that no test can forget a route.
pub(crate) fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(api::openapi()).expect("a document");
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, about) in item.as_object().expect("operations") {
            let schemes = about["security"].as_array().into_iter().flatten().filter_map(Value::as_object);
            let responses = about["responses"].as_object().expect("responses").keys();
            all.push(Operation {
                method: method.to_uppercase().parse().expect("a method"),
                path: path.clone(),
                schemes: schemes.flat_map(|scheme| scheme.keys().cloned()).collect(),
                takes_body: !about["requestBody"].is_null(),
                responses: responses.map(|status| status.parse().expect("a status")).collect(),
            });
        }
    }
    all
}

#[test]
fn the_description_changes_only_on_purpose() {
    let document = serde_json::to_string_pretty(&api::openapi()).expect("a document");
    insta::assert_snapshot!("openapi", document);
}

/// Generators of clients name their functions after them.
#[test]
fn every_operation_has_a_name_of_its_own() {
    let document = serde_json::to_value(api::openapi()).expect("a document");
    let items = document["paths"].as_object().expect("paths").values();
    let operations = items.flat_map(|item| item.as_object().expect("operations").values());
    let mut names: Vec<&str> = operations.map(|about| about["operationId"].as_str().expect("a name")).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "{names:?}");
}

#[tokio::test]
async fn the_description_is_served_to_everybody() {
    let bed = Bed::bare(Options::default()).await;
    let served = send(bed.raw(Method::GET, "/api/v1/openapi.json")).await;
    assert_eq!((served.status, served.header("content-type")), (200, "application/json"));
    assert_eq!(served.body, serde_json::to_value(api::openapi()).expect("a document"));
    bed.close().await;
}

/// Each operation is asked for a tenant that exists and one that does not, with good and bad tokens and bodies; whatever it
/// answers has to be described.
#[tokio::test]
async fn every_route_answers_only_what_is_described() {
    let bed = Bed::make().await;
    bed.tenant("present", "schema").await;
    let mut all = operations();
    // Those that remove what the others need come last, and the tenant itself after all of them.
    all.sort_by_key(|operation| (operation.method == Method::DELETE, std::cmp::Reverse(operation.path.len())));
    for operation in &all {
        for tenant in ["absent", "present", "%ff"] {
            if tenant != "absent" && !operation.path.contains("{tenant}") {
                continue;
            }
            for (token, kind, body) in [
                (None, "application/json", "{}"),
                (Some(TOKEN), "text/plain", "{}"),
                (Some(TOKEN), "application/json", "{"),
                (Some(TOKEN), "application/json", "{}"),
                (Some(TOKEN), "application/json", "{\"unheard-of\": 1}"),
            ] {
                let mut request = bed.raw(operation.method.clone(), &operation.path_with(tenant));
                if let Some(token) = token {
                    request = request.bearer_auth(token);
                }
                if operation.takes_body {
                    request = request.header("content-type", kind).body(body);
                }
                let reply = send(request).await;
                let Operation { method, path, responses, .. } = operation;
                assert!(responses.contains(&reply.status), "{method} {path} for {tenant}: {reply:#?}");
                if reply.status >= 400 {
                    assert_eq!(reply.header("content-type"), "application/problem+json", "{method} {path}");
                }
            }
        }
    }
    let found = send(bed.raw(Method::GET, "/api/v1/tenants/present").bearer_auth(TOKEN)).await;
    assert_eq!((found.status, &found.body["code"]), (404, &json!("TENANT_NOT_FOUND")), "the last one deleted it");
    bed.close().await;
}
