//! `/apps/{app}/migrations`: bringing an app and all of its tenants to newer migrations.

pub(crate) mod apply;
pub(crate) mod get;
pub(crate) mod plan;
pub(crate) mod rehearse;
pub(crate) mod verify;

use axum::http::StatusCode;
use domain::AppName;
use lifecycle::AddApp;

use crate::Door;
use crate::problem::Problem;

/// The app that a path names.
pub(crate) async fn named(door: &Door, word: &str) -> Result<AppName, Problem> {
    let known = door.catalog.apps().await?.into_iter().find(|app| app.name.as_str() == word);
    known.map(|app| app.name).ok_or_else(|| {
        let detail = format!("there is no app {word:?}; GET /api/v1/apps lists them");
        Problem::new(StatusCode::NOT_FOUND, "APP_NOT_FOUND", "App not found", detail)
    })
}

/// Files that are for the app of the path.
fn of_app(app: &AppName, new: AddApp) -> Result<AddApp, Problem> {
    if new.manifest.name == *app {
        return Ok(new);
    }
    let detail = format!("the manifest is of the app \"{}\", and the path names \"{app}\"", new.manifest.name);
    Err(Problem::field("/manifest", detail))
}
