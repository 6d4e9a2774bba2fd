//! Projects, as the vendor's console calls apps: those of the credentials, as the configuration has them.
//!
//! The original answers with `sign_key`, the app's certificate. Ours is empty: who holds REST credentials shall not be able to
//! make tokens. Configured apps have neither a name nor a date of their own, so the name is the id and the date is 0.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::order::value;
use recorder_core::units::AppId;

pub(super) fn list(apps: &[AppId]) -> Response {
    answer(&apps.iter().map(project).collect::<Vec<_>>())
}

/// Those with this `id` or `name`.
pub(super) fn find(apps: &[AppId], query: &str) -> Response {
    let wanted = [value(query, "id"), value(query, "name")];
    let fits = |app: &&AppId| wanted.iter().flatten().any(|text| text == app.as_str());
    answer(&apps.iter().filter(fits).map(project).collect::<Vec<_>>())
}

fn answer(projects: &[Value]) -> Response {
    Json(json!({ "projects": projects })).into_response()
}

fn project(app: &AppId) -> Value {
    json!({
        "id": app,
        "name": app,
        "vendor_key": app,
        "sign_key": "",
        "recording_server": null,
        "status": 1,
        "created": 0,
    })
}
