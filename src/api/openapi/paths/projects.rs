//! Projects: the apps of the credentials, as the configuration has them.

use serde_json::json;

use super::CHANNELS;
use super::channels::of_any;
use crate::api::openapi::operation::Operation;
use crate::api::openapi::refusals::{Refusal, gateway};
use crate::api::openapi::shapes::example;
use crate::api::openapi::word::text;

/// What would change a project.
const CHANGES: [(&str, &str, &str); 5] = [
    ("/dev/v1/project", "createProject", "Make an app: refused"),
    ("/dev/v1/project_status", "changeProjectStatus", "Switch an app on or off: refused"),
    ("/dev/v1/signkey", "changeSignKey", "Switch an app's certificate on or off: refused"),
    ("/dev/v1/reset_signkey", "resetSignKey", "Give an app another certificate: refused"),
    ("/dev/v1/recording_config", "changeRecordingConfig", "Change an app's recording settings: refused"),
];

pub(super) fn all() -> Vec<Operation> {
    let project = json!({ "projects": [{
        "id": example::APP, "name": example::APP, "vendor_key": example::APP, "sign_key": "", "recording_server": null,
        "status": 1, "created": 0,
    }] });
    let list = Operation::new("get", "/dev/v1/projects", CHANNELS, "projects", "List the apps of the credentials")
        .about("`sign_key`, the app's certificate, is always empty.")
        .answers(200, "The apps", "Projects", [("one", project.clone())])
        .refuses(&without_app());
    let find = Operation::new("get", "/dev/v1/project", CHANNELS, "project", "Find an app of the credentials")
        .query("id", text("The app"), example::APP)
        .query("name", text("The app, once more: configured apps have no other name"), example::APP)
        .answers(200, "The app, or none", "Projects", [("one", project), ("none", json!({ "projects": [] }))])
        .refuses(&without_app());
    let change = |(path, id, title): (&'static str, &str, &str)| {
        Operation::new("post", path, CHANNELS, id, title)
            .about("Exists in the original. Here apps are what the worker's configuration says.")
            .refuses(&without_app())
            .refuses(&[gateway(
                403,
                "configured",
                "projects can't be changed here: they are the apps in the worker's configuration file",
            )])
    };
    [list, find].into_iter().chain(CHANGES.map(change)).collect()
}

fn without_app() -> Vec<Refusal> {
    of_any().into_iter().filter(|refusal| refusal.status != 400).collect()
}
