//! Bodies of probes.

use super::Shape;
use crate::api::openapi::word::{list, must, object, open, text, truth};

pub(super) fn all() -> Vec<Shape> {
    let reason = object([must("code", text("For machines")), must("detail", text("For people, with what to do"))]);
    vec![
        ("Alive", object([must("alive", truth("True"))])),
        (
            "Readiness",
            object([must("ready", truth("Whether it takes new recordings")), must("reasons", list(reason, "Why not"))]),
        ),
        ("Document", open("An OpenAPI 3.1 document")),
    ]
}
