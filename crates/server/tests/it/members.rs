//! Whoever looks after a tenant gets a letter when it is open, and says that the address is theirs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use lifecycle::{Probe, WarmPool};
use mailparse::{MailHeaderMap, parse_mail};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use time::OffsetDateTime;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use crate::bed::{Bed, Letters, Options, TOKEN};
use crate::halt::Halt;

const EVERY: [&str; 4] = ["shared", "schema", "database", "cluster"];

fn wanted(slug: &str, isolation: &str) -> Value {
    let admin = json!({"email": "Ana.Souza@example.org", "name": "Ana <Souza>"});
    json!({"slug": slug, "name": "Câmara & Cia", "isolation": isolation, "admin": admin})
}

/// What is in the letters that have come.
fn letters(bed: &Bed) -> Vec<(String, String)> {
    let Ok(files) = std::fs::read_dir(bed.letters()) else { return Vec::new() };
    let read = |text: Vec<u8>| {
        let mail = parse_mail(&text).expect("a letter");
        let to = mail.headers.get_first_value("To").expect("somebody");
        (to, mail.get_body().expect("a body"))
    };
    files.map(|it| read(std::fs::read(it.expect("a file").path()).expect("a letter"))).collect()
}

/// The token in a letter's link.
fn token(text: &str) -> &str {
    let (_, rest) = text.split_once("confirm?token=").expect("a link");
    rest.lines().next().expect("a token").trim()
}

async fn member(bed: &Bed, slug: &str) -> Value {
    let (status, listed) = bed.call(Method::GET, &format!("/tenants/{slug}/members"), None).await;
    assert_eq!(status, StatusCode::OK, "{listed:#}");
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "{listed:#}");
    listed["items"][0].clone()
}

/// The one operation of this kind, when it has ended or has been put off.
async fn letter_operation(bed: &Bed, until: impl Fn(&Value) -> bool) -> Value {
    for _ in 0..600 {
        let (_, listed) = bed.call(Method::GET, "/operations?limit=100", None).await;
        let found =
            listed["items"].as_array().expect("a list").iter().find(|it| it["kind"] == "confirmation" && until(it));
        if let Some(found) = found {
            return found.clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it did not come to that");
}

fn has_ended(operation: &Value) -> bool {
    !operation["ended_at"].is_null()
}

async fn page(bed: &Bed, method: Method, token: &str) -> (StatusCode, String) {
    let request = match method {
        Method::GET => bed.raw(method, &format!("/confirm?token={token}")),
        other => bed
            .raw(other, "/confirm")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("token={token}")),
    };
    let answer = request.send().await.expect("answered");
    let policy = answer.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && answer.headers()["cache-control"] == "no-store");
    (answer.status(), answer.text().await.expect("a page"))
}

#[tokio::test]
async fn whoever_looks_after_a_tenant_confirms_the_address() {
    let bed = Bed::make().await;
    for isolation in EVERY {
        let slug = format!("paws-{isolation}");
        let (status, made) = bed.call(Method::POST, "/tenants", Some(wanted(&slug, isolation))).await;
        assert_eq!(status, StatusCode::CREATED, "{made:#}");
        assert_eq!(made["dashboard_url"], format!("https://{slug}.example.com/"));
        letter_operation(&bed, |it| it["title"] == *slug && has_ended(it)).await;
        let asked = member(&bed, &slug).await;
        assert!(asked["asked_at"].is_string() && asked["confirmed_at"].is_null(), "{asked:#}");
        assert_eq!((&asked["email"], &asked["role"]), (&json!("Ana.Souza@example.org"), &json!("org_admin")));
        let all = letters(&bed);
        let (to, text) = all.iter().find(|(_, text)| text.contains(&slug)).expect("a letter");
        assert!(to.contains("<Ana.Souza@example.org>"), "{to}");
        assert!(
            text.contains("Olá Ana <Souza>") && text.contains(&format!("https://{slug}.example.com/\r\n")),
            "{text}"
        );

        // Opening the link changes nothing.
        let (status, shown) = page(&bed, Method::GET, token(text)).await;
        assert!(
            status == StatusCode::OK && shown.contains("Câmara &amp; Cia") && shown.contains("<button>"),
            "{shown}"
        );
        assert!(member(&bed, &slug).await["confirmed_at"].is_null());
        let answer = if isolation == "shared" {
            let (status, shown) = page(&bed, Method::POST, token(text)).await;
            assert!(
                status == StatusCode::OK && shown.contains(&format!("href=\"https://{slug}.example.com/\"")),
                "{shown}"
            );
            member(&bed, &slug).await
        } else {
            let request = bed.raw(Method::POST, "/api/v1/confirmations").json(&json!({"token": token(text)}));
            let answer = request.send().await.expect("answered");
            assert_eq!(answer.status(), StatusCode::OK, "nobody has to be an operator");
            let answer: Value = answer.json().await.expect("JSON");
            assert_eq!((&answer["tenant"], &answer["slug"]), (&made["id"], &json!(slug)));
            answer["member"].clone()
        };
        assert!(answer["confirmed_at"].is_string(), "{answer:#}");
        // Again, it is the first time that counts.
        let (status, again) = bed.call(Method::POST, "/confirmations", Some(json!({"token": token(text)}))).await;
        assert_eq!((status, &again["member"]["confirmed_at"]), (StatusCode::OK, &answer["confirmed_at"]));
        let ask = format!("/tenants/{slug}/members/{}/confirmation", answer["id"].as_str().expect("an id"));
        let (status, refused) = bed.call(Method::POST, &ask, None).await;
        assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("ALREADY_CONFIRMED")));
        let (_, shown) = page(&bed, Method::GET, token(text)).await;
        assert!(!shown.contains("<button>"), "{shown}");
    }
    assert_eq!(letters(&bed).len(), EVERY.len());
    bed.close().await;
}

#[tokio::test]
async fn whoever_becomes_a_spare_gets_a_letter_too() {
    let day = Duration::from_hours(24);
    let warm_pool = WarmPool { size: 1, max_age: day, idle: day };
    let bed = Bed::with(Options { warm_pool, ..Options::default() }).await;
    bed.tenant("first", "shared").await;
    let ready = "SELECT count(*) FROM sindico.tenants WHERE status = 'spare'";
    let control = bed.control().await;
    let filled = async {
        while crate::bed::one(&control, ready).await != "1" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), filled).await.expect("a spare is made");
    let (_, made) = bed.call(Method::POST, "/tenants", Some(wanted("warm", "shared"))).await;
    let (_, operation) =
        bed.call(Method::GET, &format!("/operations/{}", made["operation"].as_str().expect("an id")), None).await;
    assert_eq!(operation["steps"][0]["name"], "spare", "{operation:#}");
    letter_operation(&bed, has_ended).await;
    assert_eq!(letters(&bed).len(), 1);
    bed.close().await;
}

/// The tenant is open, whatever becomes of the letter; and it comes when the server is there.
#[tokio::test]
async fn a_letter_waits_for_its_mail_server() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("an address").port();
    let bed = Bed::with(Options { letters: Letters::Server(port), ..Options::default() }).await;
    let (status, made) = bed.call(Method::POST, "/tenants", Some(wanted("patient", "schema"))).await;
    assert_eq!((status, &made["status"]), (StatusCode::CREATED, &json!("active")));
    let waiting = letter_operation(&bed, |it| !it["due_at"].is_null()).await;
    assert_eq!(waiting["state"], "running", "{waiting:#}");
    assert!(member(&bed, "patient").await["asked_at"].is_null());
    let heard = mail_server(port, "250 fine").await;
    let sent = letter_operation(&bed, has_ended).await;
    assert_eq!(sent["state"], "succeeded", "{sent:#}");
    assert!(member(&bed, "patient").await["asked_at"].is_string());
    let heard = heard.lock().expect("not poisoned").join("\n");
    assert!(heard.contains("RCPT TO:<Ana.Souza@example.org>"), "{heard}");
    bed.close().await;
}

/// Who is refused for good is told of, and can be asked again.
#[tokio::test]
async fn a_letter_that_is_refused_is_named() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("an address").port();
    let _heard = mail_server(port, "550 nobody of that name").await;
    let mut bed = Bed::with(Options { letters: Letters::Server(port), ..Options::default() }).await;
    bed.call(Method::POST, "/tenants", Some(wanted("refused", "shared"))).await;
    let failed = letter_operation(&bed, has_ended).await;
    assert_eq!(failed["state"], "failed", "{failed:#}");
    assert!(failed["error"].as_str().expect("a reason").contains("nobody of that name"), "{failed:#}");
    let kept = "SELECT count(*) FROM sindico.operations o JOIN sindico.operation_steps s ON s.operation = o.id
                WHERE concat(o, s) ~* 'souza'";
    assert_eq!(crate::bed::one(&bed.control().await, kept).await, "0", "the address is in the member's record alone");
    assert!(member(&bed, "refused").await["asked_at"].is_null());
    bed.restart(Options::default()).await;
    let id = member(&bed, "refused").await["id"].as_str().expect("an id").to_owned();
    let path = format!("/tenants/refused/members/{id}/confirmation");
    let (status, begun) = bed.call(Method::POST, &path, None).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{begun:#}");
    letter_operation(&bed, |it| it["id"] == begun["id"] && has_ended(it)).await;
    assert_eq!(letters(&bed).len(), 1);
    let (status, unknown) = bed.call(Method::POST, "/tenants/refused/members/nobody/confirmation", None).await;
    assert_eq!((status, &unknown["code"]), (StatusCode::NOT_FOUND, &json!("MEMBER_NOT_FOUND")));
    bed.tenant("other", "shared").await;
    let (status, _) = bed.call(Method::POST, &format!("/tenants/other/members/{id}/confirmation"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "another tenant's member");
    bed.close().await;
}

#[tokio::test]
async fn a_tenant_that_is_not_made_writes_to_nobody() {
    let probe = Probe::new(|step| step == "open");
    let bed = Bed::bare(Options::default()).await;
    bed.lifecycle().add_app(crate::bed::pet_shop(&bed.app)).await.expect("the pet shop registers");
    let mut bed = bed;
    bed.restart(Options { probe, ..Options::default() }).await;
    let (status, _) = bed.call(Method::POST, "/tenants", Some(wanted("never", "shared"))).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    let control = bed.control().await;
    assert_eq!(crate::bed::one(&control, "SELECT count(*) FROM sindico.members").await, "0");
    assert_eq!(
        crate::bed::one(&control, "SELECT count(*) FROM sindico.operations WHERE kind = 'confirmation'").await,
        "0"
    );
    bed.restart(Options { letters: Letters::Nowhere, ..Options::default() }).await;
    let (status, refused) = bed.call(Method::POST, "/tenants", Some(wanted("never", "shared"))).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("NO_MAIL")), "{refused:#}");
    let (status, _) = bed.call(Method::GET, "/tenants/never", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(letters(&bed), []);
    for (field, admin) in [
        ("/admin/email", json!({"email": "ana@example.org\r\nBcc: all@example.org"})),
        ("/admin/email", json!({"email": "ana"})),
        ("/admin/email", json!({})),
        ("/admin/name", json!({"email": "ana@example.org", "name": "a\nb"})),
    ] {
        let (status, refused) = bed.call(Method::POST, "/tenants", Some(json!({"slug": "bad", "admin": admin}))).await;
        assert_eq!(
            (status, &refused["errors"][0]["pointer"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!(field)),
            "{refused:#}"
        );
    }
    bed.close().await;
}

/// Only what was sent opens, as long as it is good, and as long as there is whom it is about.
#[tokio::test]
async fn a_link_that_is_not_good_confirms_nothing() {
    let bed = Bed::make().await;
    bed.call(Method::POST, "/tenants", Some(wanted("paws", "shared"))).await;
    letter_operation(&bed, has_ended).await;
    let all = letters(&bed);
    let good = token(&all[0].1).to_owned();
    let id = member(&bed, "paws").await["id"].as_str().expect("an id").parse().expect("a UUID");
    let email = "ana.souza@example.org".parse().expect("an address");
    let old = OffsetDateTime::now_utc() - time::Duration::seconds(2);
    let key = bed.catalog().master().confirmation_key();
    let another = catalog::MasterKey::generate().expect("random bytes").confirmation_key();
    let until = OffsetDateTime::now_utc() + time::Duration::hours(1);
    for (token, expected, code) in [
        (key.issue(id, &email, old), StatusCode::GONE, "CONFIRMATION_EXPIRED"),
        (another.issue(id, &email, until), StatusCode::NOT_FOUND, "CONFIRMATION_NOT_FOUND"),
        (key.issue(uuid::Uuid::now_v7(), &email, until), StatusCode::NOT_FOUND, "CONFIRMATION_NOT_FOUND"),
        (
            key.issue(id, &"other@example.org".parse().expect("an address"), until),
            StatusCode::NOT_FOUND,
            "CONFIRMATION_NOT_FOUND",
        ),
        (good[1..].to_owned(), StatusCode::NOT_FOUND, "CONFIRMATION_NOT_FOUND"),
        (String::new(), StatusCode::NOT_FOUND, "CONFIRMATION_NOT_FOUND"),
    ] {
        let (status, refused) = bed.call(Method::POST, "/confirmations", Some(json!({"token": token}))).await;
        assert_eq!((status, &refused["code"]), (expected, &json!(code)), "{refused:#}");
        for method in [Method::GET, Method::POST] {
            assert_eq!(page(&bed, method, &token).await.0, expected);
        }
    }
    assert!(member(&bed, "paws").await["confirmed_at"].is_null());
    // Who comes back when it has expired has done what was asked.
    bed.call(Method::POST, "/confirmations", Some(json!({"token": good}))).await;
    let (status, again) =
        bed.call(Method::POST, "/confirmations", Some(json!({"token": key.issue(id, &email, old)}))).await;
    assert_eq!((status, &again["member"]["id"]), (StatusCode::OK, &json!(id)), "{again:#}");
    let (status, shown) = page(&bed, Method::GET, "%22%3E%3Cscript%3E").await;
    assert!(status == StatusCode::NOT_FOUND && !shown.contains("<script"), "{shown}");
    bed.call(Method::DELETE, "/tenants/paws", None).await;
    let (status, _) = bed.call(Method::POST, "/confirmations", Some(json!({"token": good}))).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "who is gone confirms nothing");
    bed.close().await;
}

/// Nobody is asked about a tenant that is not there yet, and nobody undoes one by asking.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_asked_before_the_tenant_is_there() {
    let (halt, probe) = Halt::at("open");
    let mut bed = Bed::make().await;
    bed.restart(Options { probe, ..Options::default() }).await;
    let body = wanted("early", "schema");
    let request =
        bed.raw(Method::POST, "/api/v1/tenants").bearer_auth(TOKEN).header("prefer", "respond-async").json(&body);
    assert_eq!(request.send().await.expect("answered").status(), StatusCode::ACCEPTED);
    halt.reached().await;
    let id = member(&bed, "early").await["id"].as_str().expect("an id").to_owned();
    let ask = format!("/tenants/early/members/{id}/confirmation");
    let (status, refused) = bed.call(Method::POST, &ask, None).await;
    assert_eq!((status, &refused["code"]), (StatusCode::CONFLICT, &json!("WRONG_STATUS")), "{refused:#}");
    halt.wake();
    letter_operation(&bed, has_ended).await;
    assert_eq!(letters(&bed).len(), 1);
    bed.close().await;
}

/// A process that knows no way for letters leaves them to one that does.
#[tokio::test]
async fn a_letter_waits_for_whoever_can_send_it() {
    let port = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("an address").port();
    let mut bed = Bed::with(Options { letters: Letters::Server(port), ..Options::default() }).await;
    bed.call(Method::POST, "/tenants", Some(wanted("patient", "shared"))).await;
    letter_operation(&bed, |it| !it["due_at"].is_null()).await;
    bed.restart(Options { letters: Letters::Nowhere, ..Options::default() }).await;
    bed.control()
        .await
        .batch_execute("UPDATE sindico.operations SET due_at = now() WHERE ended_at IS NULL")
        .await
        .expect("due");
    tokio::time::sleep(Duration::from_secs(3)).await;
    letter_operation(&bed, |it| !has_ended(it)).await;
    bed.restart(Options::default()).await;
    assert_eq!(letter_operation(&bed, has_ended).await["state"], "succeeded");
    assert_eq!(letters(&bed).len(), 1);
    bed.close().await;
}

/// A mail server that has this to say to whom letters are for.
async fn mail_server(port: u16, to: &'static str) -> Arc<Mutex<Vec<String>>> {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            let mut body = false;
            write.write_all(b"220 here\r\n").await.expect("greeted");
            while let Ok(Some(line)) = lines.next_line().await {
                said.lock().expect("not poisoned").push(line.clone());
                if body && line != "." {
                    continue;
                }
                body = !body && line == "DATA";
                let answer = if body {
                    "354 go on"
                } else if line.starts_with("RCPT") {
                    to
                } else {
                    "250 fine"
                };
                if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                    break;
                }
            }
        }
    });
    heard
}
