//! `POST /apps`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use catalog::AppFile;
use lifecycle::AddApp;
use serde::Deserialize;
use tenantize::Manifest;
use utoipa::ToSchema;

use crate::Door;
use crate::apps::AppView;
use crate::body::Body;
use crate::problem::Problem;

/// An app's folder.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAppBody {
    /// The text of `app.toml`.
    #[schema(example = "name = \"petshop\"")]
    pub(crate) manifest: String,
    /// `migrations/*.sql` and `seed/*.sql`, at least one.
    #[schema(min_items = 1)]
    pub(crate) files: Vec<FileBody>,
}

/// One SQL file.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FileBody {
    /// Its path from the app's folder.
    #[schema(example = "migrations/0001_clients.sql")]
    path: String,
    /// Its text.
    content: String,
}

/// Registers an app. Every statement is read and tried before the app is accepted; if one is refused, nothing is left.
/// Registering the same files again changes nothing.
#[utoipa::path(post, path = "/apps", operation_id = "addApp",
    tag = "apps", security(("admin" = [])), request_body = NewAppBody,
    responses((status = 201, body = AppView), (status = 400, body = Problem), (status = 401, body = Problem),
        (status = 409, body = Problem), (status = 413, body = Problem), (status = 415, body = Problem),
        (status = 422, body = Problem), (status = 502, body = Problem)))]
pub(crate) async fn add(State(door): State<Door>, Body(new): Body<NewAppBody>) -> Result<impl IntoResponse, Problem> {
    let app = door.lifecycle.add_app(new.read()?).await?;
    Ok((StatusCode::CREATED, Json(AppView::from(app))))
}

impl NewAppBody {
    /// The app as the lifecycle takes it.
    pub(crate) fn read(self) -> Result<AddApp, Problem> {
        let manifest =
            Manifest::parse(&self.manifest).map_err(|fault| Problem::field("/manifest", fault.to_string()))?;
        // A person's words for the app; nothing in them may break a line or be refused by the control database.
        for (key, text) in [("title", &manifest.title), ("description", &manifest.description)] {
            if text.as_ref().is_some_and(|text| text.chars().any(char::is_control)) {
                return Err(Problem::field(
                    "/manifest",
                    format!("{key} holds a control character; give plain text on one line"),
                ));
            }
        }
        if let Some(index) = self.files.iter().position(|file| file.content.contains('\0')) {
            let pointer = format!("/files/{index}/content");
            return Err(Problem::field(pointer, "the file holds a NUL byte, which no SQL has"));
        }
        let files = self.files.into_iter().map(|file| AppFile { path: file.path, content: file.content }).collect();
        Ok(AddApp { manifest, files })
    }
}
