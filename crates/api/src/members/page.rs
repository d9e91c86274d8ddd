//! `/confirm`: the page that a letter's link opens. Opening it changes nothing, because mail programs open links by themselves;
//! its button does.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use lifecycle::{Confirmed, Language, LifecycleError};
use serde::Deserialize;

use crate::Door;
use crate::problem::Problem;

/// Nothing is loaded, framed, kept or told to whoever comes next.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
];

#[derive(Debug, Deserialize)]
pub(crate) struct Given {
    #[serde(default)]
    token: String,
}

/// Asks whether the address is theirs.
pub(crate) async fn show(State(door): State<Door>, Query(given): Query<Given>) -> Response {
    let words = Words::of(&door);
    match door.lifecycle.read_confirmation(&given.token).await {
        Ok(found) if found.member.confirmed_at.is_some() => words.done(&found),
        Ok(found) => words.ask(&found, &given.token),
        Err(error) => words.failed(error),
    }
}

/// They say so.
pub(crate) async fn confirm(State(door): State<Door>, Form(given): Form<Given>) -> Response {
    let words = Words::of(&door);
    match door.lifecycle.confirm(&given.token).await {
        Ok(confirmed) => words.done(&confirmed),
        Err(error) => words.failed(error),
    }
}

struct Words {
    language: &'static str,
    title: &'static str,
    ask: &'static str,
    button: &'static str,
    done: &'static str,
    on: &'static str,
    bad: &'static str,
    late: &'static str,
    later: &'static str,
}

const EN: Words = Words {
    language: "en",
    title: "Confirm your address",
    ask: "Is this address yours?",
    button: "Yes, it is mine",
    done: "Thank you: the address is confirmed.",
    on: "Go on to",
    bad: "This link is not valid. Use the link in the newest letter, or ask for another letter.",
    late: "This link has expired. Ask for another letter.",
    later: "This does not work at the moment. Please try again later.",
};

const PT_BR: Words = Words {
    language: "pt-BR",
    title: "Confirme seu endereço",
    ask: "Este endereço é seu?",
    button: "Sim, é meu",
    done: "Obrigado: o endereço está confirmado.",
    on: "Ir para",
    bad: "Este link não é válido. Use o link da mensagem mais recente ou peça outra mensagem.",
    late: "Este link expirou. Peça outra mensagem.",
    later: "No momento isto não funciona. Tente de novo mais tarde.",
};

impl Words {
    fn of(door: &Door) -> &'static Self {
        match door.lifecycle.letters().map(|letters| letters.language) {
            Ok(Language::PtBr) => &PT_BR,
            Ok(Language::En) | Err(_) => &EN,
        }
    }

    fn ask(&self, found: &Confirmed, token: &str) -> Response {
        let Self { ask, button, .. } = self;
        let (email, tenant) = (escaped(found.member.email.as_str()), escaped(found.member.tenant_name.as_str()));
        let token = escaped(token);
        self.page(
            StatusCode::OK,
            &format!(
                "<p>{ask}</p><p><strong>{email}</strong> · {tenant}</p>\
                 <form method=\"post\" action=\"/confirm\"><input type=\"hidden\" name=\"token\" value=\"{token}\">\
                 <button>{button}</button></form>"
            ),
        )
    }

    fn done(&self, found: &Confirmed) -> Response {
        let Self { done, on, .. } = self;
        let (email, tenant) = (escaped(found.member.email.as_str()), escaped(found.member.tenant_name.as_str()));
        let further = found
            .dashboard
            .as_ref()
            .map_or_else(String::new, |url| format!("<p><a href=\"{}\">{on} {tenant}</a></p>", escaped(url)));
        self.page(StatusCode::OK, &format!("<p>{done}</p><p><strong>{email}</strong> · {tenant}</p>{further}"))
    }

    fn failed(&self, error: LifecycleError) -> Response {
        let (status, told) = match error {
            LifecycleError::BadConfirmation => (StatusCode::NOT_FOUND, self.bad),
            LifecycleError::ConfirmationExpired => (StatusCode::GONE, self.late),
            // Its cause goes into the log on the way.
            other => (StatusCode::from_u16(Problem::from(other).status).unwrap_or_default(), self.later),
        };
        self.page(status, &format!("<p>{told}</p>"))
    }

    fn page(&self, status: StatusCode, body: &str) -> Response {
        let Self { language, title, .. } = self;
        let style = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}\
                     button{font:inherit;padding:.5rem 1rem;cursor:pointer}";
        let page = format!(
            "<!doctype html><html lang=\"{language}\"><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><style>{style}</style>\
             <main><h1>{title}</h1>{body}</main></html>"
        );
        (status, HEADERS, Html(page)).into_response()
    }
}

/// As text between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_said_becomes_markup() {
        assert_eq!(escaped("<b a=\"x\" b='y'>&amp;"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;");
        assert_eq!(escaped("Câmara & Cia"), "Câmara &amp; Cia");
    }
}
