//! Making, reading, changing and removing a tenant.

use lifecycle::AddApp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::api::operator;
use crate::apps::one_table;
use crate::bed::{Bed, Options, enter, rows};

#[tokio::test]
async fn a_creation_answers_with_everything_that_its_client_needs() {
    let bed = Bed::make().await;
    let made = operator(&bed, Method::POST, "/tenants", Some(json!({"slug": "happy-paws"}))).await;
    assert_eq!(made.status, 201, "{made:#?}");
    assert_eq!(made.header("content-type"), "application/json");
    assert_eq!(made.header("cache-control"), "no-store", "the answer holds a secret");
    let id = made.body["id"].as_str().expect("an id");
    assert_eq!(made.header("location"), format!("/api/v1/tenants/{id}"));
    assert_eq!(uuid::Uuid::parse_str(id).expect("a UUID").get_version_num(), 7);
    let expected = json!({
        "id": id, "slug": "happy-paws", "name": "happy-paws", "app": bed.app.as_str(), "status": "active",
        "isolation": "shared", "version": 4,
        "placement": {"cluster": "main", "database": format!("app_{}", bed.app), "schema": "public"},
        "pool": {"mode": null, "pooling": null, "max_server_connections": null, "max_clients": null},
        "created_at": made.body["created_at"], "updated_at": made.body["updated_at"],
        "key": made.body["key"], "dsn": made.body["dsn"], "operation": made.body["operation"],
        "dashboard_url": "https://happy-paws.example.com/",
    });
    assert_eq!(made.body, expected);
    let key = made.body["key"].as_str().expect("a key");
    let address = format!("postgresql://happy-paws:{key}@127.0.0.1:{}/{}", bed.gateway_port, bed.app);
    assert_eq!(made.body["dsn"], address);
    assert_eq!(rows(&enter(&made.body).await, "SELECT 1").await, ["1"], "the connection string works as it is");

    let shown = operator(&bed, Method::GET, made.header("location").trim_start_matches("/api/v1"), None).await;
    assert_eq!(shown.status, 200, "{shown:#?}");
    let mut without_secrets = expected;
    let fields = without_secrets.as_object_mut().expect("an object");
    fields.remove("key");
    fields.remove("dsn");
    fields.remove("operation");
    fields.remove("dashboard_url");
    assert_eq!(shown.body, without_secrets, "the same tenant, and no secret is shown twice");
    bed.close().await;
}

#[tokio::test]
async fn the_app_may_be_left_out_only_when_there_is_one() {
    let bed = Bed::bare(Options::default()).await;
    let body = || Some(json!({"slug": "which"}));
    let none = operator(&bed, Method::POST, "/tenants", body()).await;
    none.is_problem(422, "INVALID_FIELD").points_at("/app").says("no app is registered");

    let other = format!("{}_b", bed.app).parse().expect("an app name");
    let AddApp { manifest, files } = one_table(&bed.app);
    bed.lifecycle().add_app(AddApp { manifest, files }).await.expect("registered");
    let one = operator(&bed, Method::POST, "/tenants", body()).await;
    assert_eq!((one.status, one.body["app"].as_str()), (201, Some(bed.app.as_str())), "{one:#?}");

    bed.lifecycle().add_app(one_table(&other)).await.expect("registered");
    let several = operator(&bed, Method::POST, "/tenants", Some(json!({"slug": "which-2"}))).await;
    several.is_problem(422, "INVALID_FIELD").points_at("/app").says(bed.app.as_str()).says(other.as_str());
    let named = operator(&bed, Method::POST, "/tenants", Some(json!({"slug": "which-2", "app": other.as_str()}))).await;
    assert_eq!((named.status, named.body["app"].as_str()), (201, Some(other.as_str())), "{named:#?}");
    bed.close().await;
}

#[tokio::test]
async fn every_wrong_field_is_named() {
    let bed = Bed::make().await;
    for (body, code, pointer) in [
        (json!({}), "INVALID_FIELD", "/slug"),
        (json!({"slug": 3}), "INVALID_FIELD", "/slug"),
        (json!({"slug": null}), "INVALID_FIELD", "/slug"),
        (json!({"slug": "ok", "name": ""}), "INVALID_FIELD", "/name"),
        (json!({"slug": "ok", "name": "a\u{0}b"}), "INVALID_FIELD", "/name"),
        (json!({"slug": "ok", "name": "x".repeat(201)}), "INVALID_FIELD", "/name"),
        (json!({"slug": "ok", "name": ["x"]}), "INVALID_FIELD", "/name"),
        (json!({"slug": "ok", "app": "Not An App"}), "INVALID_FIELD", "/app"),
        (json!({"slug": "ok", "app": "nobody_registered_it"}), "APP_NOT_FOUND", "/app"),
        (json!({"slug": "ok", "isolation": "Shared"}), "INVALID_FIELD", "/isolation"),
        (json!({"slug": "ok", "isolation": true}), "INVALID_FIELD", "/isolation"),
        (json!({"slug": "ok", "cluster": ""}), "INVALID_FIELD", "/cluster"),
        (json!({"slug": "ok", "cluster": "elsewhere"}), "CLUSTER_NOT_FOUND", "/cluster"),
        (json!({"slug": "ok", "cluster": "dedicated"}), "CLUSTER_UNFIT", "/cluster"),
        (json!({"slug": "ok", "cluster": "main", "isolation": "cluster"}), "CLUSTER_UNFIT", "/cluster"),
        (json!({"slug": "ok", "plan": "gold"}), "INVALID_FIELD", "/plan"),
        (json!({"slug": "ok", "a/b~c": 1}), "INVALID_FIELD", "/a~1b~0c"),
        // The whole body; JSON pointer's name for it is the empty text (RFC 6901, section 5).
        (json!(["ok"]), "INVALID_FIELD", ""),
        (json!(["ok", null, null, null, null]), "INVALID_FIELD", ""),
        (json!("ok"), "INVALID_FIELD", ""),
        (Value::Null, "INVALID_FIELD", ""),
    ] {
        let reply = operator(&bed, Method::POST, "/tenants", Some(body.clone())).await;
        reply.is_problem(422, code).points_at(pointer);
    }
    let long = "x".repeat(64);
    for slug in [
        "",
        " ",
        "A",
        "ação",
        "a_b",
        "a.b",
        "a b",
        "-a",
        "a-",
        "a\u{0}",
        "xn--80ak6aa92e",
        "www",
        "postgres",
        &long,
        "0192f0c1-2345-7abc-8def-0123456789ab",
        "0192f0c123457abc8def0123456789ab",
        "../a",
        "a'; DROP TABLE x",
    ] {
        let reply = operator(&bed, Method::POST, "/tenants", Some(json!({"slug": slug}))).await;
        reply.is_problem(422, "INVALID_FIELD").points_at("/slug").says("is not usable");
    }
    let page = operator(&bed, Method::GET, "/tenants", None).await;
    assert_eq!(page.body["items"], json!([]), "nothing was made");
    bed.close().await;
}

#[tokio::test]
async fn a_taken_slug_is_refused_in_any_isolation() {
    let bed = Bed::make().await;
    let made = bed.tenant("taken", "shared").await;
    for isolation in ["shared", "schema", "database", "cluster"] {
        let again = json!({"slug": "taken", "isolation": isolation});
        let reply = operator(&bed, Method::POST, "/tenants", Some(again)).await;
        reply.is_problem(409, "SLUG_TAKEN").points_at("/slug").says("taken");
    }
    assert_eq!(rows(&enter(&made).await, "SELECT count(*) FROM clients").await, ["1"], "its owner is untouched");
    bed.close().await;
}

#[tokio::test]
async fn a_tenant_is_found_by_id_and_slug_and_by_nothing_else() {
    let bed = Bed::make().await;
    let made = bed.tenant("found", "shared").await;
    let id = made["id"].as_str().expect("an id");
    for word in [id, &id.to_uppercase(), &id.replace('-', ""), "found"] {
        let reply = operator(&bed, Method::GET, &format!("/tenants/{word}"), None).await;
        assert_eq!((reply.status, &reply.body["id"]), (200, &made["id"]), "{word}");
    }
    for word in [
        "found2",
        "Found",
        "0192f0c1-2345-7abc-8def-0123456789ab",
        "%00",
        "a%2Fb",
        "..%2Ffound",
        "%F0%9F%90%B6",
        "%20",
        "'%20OR%20true--",
        &"x".repeat(2000),
    ] {
        let reply = operator(&bed, Method::GET, &format!("/tenants/{word}"), None).await;
        reply.is_problem(404, "TENANT_NOT_FOUND");
        assert_eq!(reply.body["error"], "Tenant not found", "clients look for this text");
    }
    let reply = operator(&bed, Method::GET, "/tenants/%ff%fe", None).await;
    reply.is_problem(400, "MALFORMED_PATH");
    bed.close().await;
}

#[tokio::test]
async fn an_edit_changes_what_it_names_and_nothing_else() {
    let bed = Bed::make().await;
    let made = bed.tenant("edited", "shared").await;
    let edit = async |body: Value| operator(&bed, Method::PATCH, "/tenants/edited", Some(body)).await;

    let named = edit(json!({"name": "Câmara de São José 🐶"})).await;
    assert_eq!((named.status, named.body["name"].as_str()), (200, Some("Câmara de São José 🐶")), "{named:#?}");
    assert_eq!((&named.body["slug"], &named.body["status"]), (&made["slug"], &made["status"]));
    assert!(named.body["updated_at"].as_str() > made["updated_at"].as_str(), "{named:#?}");
    assert_eq!(named.body["created_at"], made["created_at"]);
    let both = edit(json!({"name": "Two", "status": "suspended"})).await;
    assert_eq!((both.body["name"].as_str(), both.body["status"].as_str()), (Some("Two"), Some("suspended")));
    let again = edit(json!({"status": "suspended"})).await;
    assert_eq!((again.status, again.body["status"].as_str()), (200, Some("suspended")), "the same twice is the same");
    let pool = |mode: Value, most: Value| json!({"mode": mode, "pooling": null, "max_server_connections": most, "max_clients": null});
    let pooled = edit(json!({"pool": {"mode": "session", "max_server_connections": 7}})).await;
    assert_eq!((pooled.status, &pooled.body["pool"]), (200, &pool(json!("session"), json!(7))), "{pooled:#?}");
    assert_eq!(edit(json!({"name": "Two"})).await.body["pool"], pooled.body["pool"], "what is not named stays");
    let other = edit(json!({"pool": {"mode": "transaction"}})).await;
    assert_eq!(other.body["pool"], pool(json!("transaction"), Value::Null), "it is given as a whole");
    let nothing = edit(json!({})).await;
    assert_eq!((nothing.status, nothing.body["name"].as_str()), (200, Some("Two")));

    for (body, pointer) in [
        (json!({"name": " "}), "/name"),
        (json!({"name": "a\nb"}), "/name"),
        (json!({"status": "provisioning"}), "/status"),
        (json!({"status": "deleting"}), "/status"),
        (json!({"status": "closed"}), "/status"),
        (json!({"status": 1}), "/status"),
        (json!({"slug": "other"}), "/slug"),
        (json!({"isolation": "schema"}), "/isolation"),
        (json!({"name": "fine", "status": "deleting"}), "/status"),
        (json!({"pool": {"mode": "statement"}}), "/pool/mode"),
        (json!({"pool": {"pooling": "loose"}}), "/pool/pooling"),
        (json!({"pool": {"max_clients": 0}}), "/pool/max_clients"),
        (json!({"pool": {"max_clients": 2_147_483_648_u32}}), "/pool/max_clients"),
        (json!({"pool": {"max_server_connections": -1}}), "/pool/max_server_connections"),
        (json!({"pool": {"most": 1}}), "/pool/most"),
        (json!(["fine", "active"]), ""),
    ] {
        edit(body).await.is_problem(422, "INVALID_FIELD").points_at(pointer);
    }
    let shown = operator(&bed, Method::GET, "/tenants/edited", None).await;
    assert_eq!(shown.body, nothing.body, "refused edits change nothing");
    let missing = operator(&bed, Method::PATCH, "/tenants/nobody", Some(json!({"name": "x"}))).await;
    missing.is_problem(404, "TENANT_NOT_FOUND");
    bed.close().await;
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_from_every_route() {
    let bed = Bed::make().await;
    let made = bed.tenant("gone", "schema").await;
    let deleted = operator(&bed, Method::DELETE, "/tenants/gone", None).await;
    assert_eq!((deleted.status, &deleted.body), (204, &Value::Null));
    for word in ["gone", made["id"].as_str().expect("an id")] {
        for (method, path, body) in [
            (Method::GET, format!("/tenants/{word}"), None),
            (Method::PATCH, format!("/tenants/{word}"), Some(json!({"name": "x"}))),
            (Method::DELETE, format!("/tenants/{word}"), None),
            (Method::POST, format!("/tenants/{word}/schema"), None),
            (Method::DELETE, format!("/tenants/{word}/schema?confirm=gone"), None),
            (Method::GET, format!("/tenants/{word}/keys"), None),
            (Method::POST, format!("/tenants/{word}/keys"), Some(json!({"label": "x"}))),
            (Method::DELETE, format!("/tenants/{word}/keys/0192f0c1-2345-7abc-8def-0123456789ab"), None),
        ] {
            operator(&bed, method, &path, body).await.is_problem(404, "TENANT_NOT_FOUND");
        }
    }
    bed.close().await;
}
