use std::sync::{Arc, Mutex};

use domain::{DisplayName, Email};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;

use super::*;

const FROM: &str = "Câmara de Exemplo <no-reply@example.com>";

fn words() -> (Email, DisplayName) {
    ("ana@example.org".parse().expect("an address"), "Ana Conceição".parse().expect("a name"))
}

fn letter((to, name): &(Email, DisplayName), id: Uuid) -> Letter<'_> {
    Letter { id, to, name, subject: "Confirmação", text: "Olá Ana,\n\n.\nhttp://127.0.0.1/confirm?token=x\n" }
}

/// A mail server with these answers to the first words that come; it keeps what it heard.
async fn server_that(answers: &'static [(&'static str, &'static str)]) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let said = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let said = Arc::clone(&said);
            tokio::spawn(async move {
                let (read, mut write) = stream.into_split();
                let mut lines = BufReader::new(read).lines();
                let mut body = false;
                write.write_all(b"220 here\r\n").await.expect("greeted");
                while let Ok(Some(line)) = lines.next_line().await {
                    said.lock().expect("not poisoned").push(line.clone());
                    if body && line != "." {
                        continue;
                    }
                    let word = if body { "." } else { line.split([' ', ':']).next().unwrap_or_default() };
                    body = word == "DATA";
                    let answer = answers.iter().find(|(asked, _)| *asked == word).map(|(_, answer)| *answer);
                    let usual = if body { "354 go on" } else { "250 fine" };
                    let answer = answer.unwrap_or(usual);
                    body &= answer.starts_with('3');
                    if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, heard)
}

fn to_port(port: u16) -> Mailer {
    Mailer::new(FROM, &Route::Smtp { url: format!("smtp://127.0.0.1:{port}"), password: None }).expect("a mailer")
}

#[tokio::test]
async fn a_letter_is_a_file_however_often_it_is_sent() {
    let folder = TempDir::new().expect("a folder");
    let place = folder.path().join("mail");
    let mailer = Mailer::new(FROM, &Route::Folder(place.clone())).expect("a mailer");
    let (who, id) = (words(), Uuid::now_v7());
    for _ in 0..3 {
        mailer.send(&letter(&who, id)).await.expect("sent");
    }
    let files: Vec<_> =
        std::fs::read_dir(&place).expect("a folder").map(|it| it.expect("a file").file_name()).collect();
    assert_eq!(files, [std::ffi::OsString::from(format!("{id}.eml"))]);
    let text = std::fs::read_to_string(place.join(format!("{id}.eml"))).expect("a letter");
    assert!(text.contains(&format!("Message-ID: <{id}@example.com>")), "{text}");
    assert!(text.contains("<ana@example.org>") && text.is_ascii(), "{text}");
    let link = format!("http://127.0.0.1/confirm?token={}", "x".repeat(120));
    let plain = Letter { text: &format!("Hello Ana,\n\n{link}\n"), ..letter(&who, id) };
    mailer.send(&plain).await.expect("sent");
    let text = std::fs::read_to_string(place.join(format!("{id}.eml"))).expect("a letter");
    assert!(text.ends_with(&format!("\r\n\r\nHello Ana,\r\n\r\n{link}\r\n")), "the link is whole: {text}");
    std::fs::remove_dir_all(&place).expect("removed");
    std::fs::write(&place, "no folder").expect("written");
    let failed = mailer.send(&letter(&who, id)).await.expect_err("there is a file in the way");
    assert!(failed.may_pass(), "{failed}");
}

#[tokio::test]
async fn a_server_gets_the_letter_as_it_is() {
    let (port, heard) = server_that(&[]).await;
    let who = words();
    to_port(port).send(&letter(&who, Uuid::now_v7())).await.expect("sent");
    let heard = heard.lock().expect("not poisoned").join("\n");
    assert!(
        heard.contains("MAIL FROM:<no-reply@example.com>") && heard.contains("RCPT TO:<ana@example.org>"),
        "{heard}"
    );
    assert!(heard.contains("\n.."), "a line that is a dot does not end it: {heard}");
}

#[tokio::test]
async fn what_is_refused_is_not_tried_again_and_what_is_put_off_is() {
    let who = words();
    let (refuses, _) = server_that(&[("RCPT", "550 no such user here")]).await;
    let failed = to_port(refuses).send(&letter(&who, Uuid::now_v7())).await.expect_err("refused");
    assert!(!failed.may_pass() && failed.to_string().contains("no such user here"), "{failed}");
    let (puts_off, _) = server_that(&[("DATA", "451 come back later")]).await;
    let failed = to_port(puts_off).send(&letter(&who, Uuid::now_v7())).await.expect_err("put off");
    assert!(failed.may_pass() && failed.to_string().contains("come back later"), "{failed}");
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("bound").local_addr().expect("an address").port();
    let failed = to_port(gone).send(&letter(&who, Uuid::now_v7())).await.expect_err("nobody there");
    assert!(failed.may_pass(), "{failed}");
}

#[test]
fn settings_that_cannot_be_right_are_named() {
    let refused = |from: &str, url: &str, password: Option<&str>| {
        let password = password.map(|it| Password(it.to_owned()));
        Mailer::new(from, &Route::Smtp { url: url.to_owned(), password }).expect_err(url).to_string()
    };
    let good = "smtps://ana@mail.example.com";
    assert!(refused("no sender", good, Some("x")).contains("no sender"));
    assert!(refused("a@b\r\nBcc: c@d", good, Some("x")).contains("is no sender"));
    for (url, password, told) in [
        ("mail.example.com", None, "smtps://user@"),
        ("http://mail.example.com", None, "smtps://user@"),
        ("smtp://mail.example.com", None, "in the clear"),
        ("smtp://mail.example.com?tls=opportunistic", None, "tls=required"),
        ("smtps://ana:secret@mail.example.com", None, "put it into a file"),
        (good, None, "no password is given"),
        ("smtps://mail.example.com", Some("x"), "names no user"),
        ("smtps://", None, "host"),
        ("smtp://[::1]:25", None, "by its name"),
    ] {
        let why = refused(FROM, url, password);
        assert!(why.contains(told) && !why.contains("secret"), "{url}: {why}");
    }
    for url in [good, "smtp://ana@mail.example.com?tls=required", "smtps://a%40b@mail.example.com:2465"] {
        let route = Route::Smtp { url: url.to_owned(), password: Some(Password("p@ss:/word".to_owned())) };
        let mailer = Mailer::new(FROM, &route).expect(url);
        assert!(!format!("{mailer:?} {route:?}").contains("p@ss"));
    }
}

/// Whoever takes a connection and says nothing is given up, and may be asked again.
#[tokio::test(start_paused = true)]
async fn a_server_that_says_nothing_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let port = listener.local_addr().expect("an address").port();
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let who = words();
    let failed = to_port(port).send(&letter(&who, Uuid::now_v7())).await.expect_err("nobody answers");
    assert!(failed.may_pass() && failed.to_string().contains("has not answered"), "{failed}");
    silent.abort();
}

/// The user and the password that the settings have, however they are spelt; and a server that does not let síndico in may do so later.
#[tokio::test]
async fn who_sends_says_who_they_are() {
    let route = |port: u16| Route::Smtp {
        url: format!("smtp://paws%40example.com@127.0.0.1:{port}"),
        password: Some(Password("p@ss:/wörd".to_owned())),
    };
    let who = words();
    let (port, heard) = server_that(&[("EHLO", "250 AUTH PLAIN"), ("AUTH", "235 welcome")]).await;
    Mailer::new(FROM, &route(port)).expect("a mailer").send(&letter(&who, Uuid::now_v7())).await.expect("sent");
    let plain = "AHBhd3NAZXhhbXBsZS5jb20AcEBzczovd8O2cmQ=";
    assert!(heard.lock().expect("not poisoned").contains(&format!("AUTH PLAIN {plain}")), "{heard:?}");
    let (port, _) = server_that(&[("EHLO", "250 AUTH PLAIN"), ("AUTH", "535 wrong password")]).await;
    let failed = Mailer::new(FROM, &route(port)).expect("a mailer").send(&letter(&who, Uuid::now_v7())).await;
    let failed = failed.expect_err("not let in");
    assert!(failed.may_pass() && failed.to_string().contains("wrong password"), "{failed}");
}

#[tokio::test]
async fn nobody_else_reads_letters_and_no_error_names_who_gets_them() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().expect("a folder");
    let place = folder.path().join("deep/mail");
    let (who, id) = (words(), Uuid::now_v7());
    let mailer = Mailer::new(FROM, &Route::Folder(place.clone())).expect("a mailer");
    // What somebody left who died in the middle.
    mailer.send(&letter(&who, id)).await.expect("sent");
    std::fs::write(place.join(format!(".{id}")), "half").expect("written");
    mailer.send(&letter(&who, id)).await.expect("sent");
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&place), mode(&place.join(format!("{id}.eml")))), (0o700, 0o600));
    assert_eq!(std::fs::read_dir(&place).expect("a folder").count(), 1);
    let (port, _) = server_that(&[("RCPT", "550 <Ana@Example.org> is nobody, ana@example.org")]).await;
    let failed = to_port(port).send(&letter(&who, id)).await.expect_err("refused").to_string();
    assert!(failed.contains("is nobody") && !failed.to_lowercase().contains("ana@"), "{failed}");
}
