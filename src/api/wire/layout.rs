//! The layout of a video mix (docs/protocol/agora.md sections 1.5 and 2.2): nothing of it can be seen in a sound, so nothing of it has an
//! effect. `updateLayout` refuses what the vendor refuses all the same, since a caller that mends its layouts here goes on
//! working there. Empty and zero are as good as absent, as callers send them.

use serde_json::Value;

use super::fields::{BadField, Fields, whole};

/// Regions that a layout may have: everybody that a mix shows.
const MAX_REGIONS: usize = 17;

const FIELDS: [&str; 7] = [
    "mixedVideoLayout",
    "maxResolutionUid",
    "backgroundColor",
    "backgroundImage",
    "defaultUserBackgroundImage",
    "layoutConfig",
    "backgroundConfig",
];

/// Whether a request says anything about a layout.
pub(super) fn is_told(client: &Fields<'_>) -> bool {
    FIELDS.iter().any(|field| client.value(field).is_some())
}

/// Checks a whole layout.
pub(super) fn check(client: &Fields<'_>) -> Result<(), BadField> {
    client.integer("mixedVideoLayout", 0, 3)?;
    member(client, "maxResolutionUid")?;
    color(client)?;
    for image in ["backgroundImage", "defaultUserBackgroundImage"] {
        client.text(image)?;
    }
    if client.list("layoutConfig")?.len() > MAX_REGIONS {
        return Err(client.bad("layoutConfig", format!("has too many entries; at most {MAX_REGIONS} are shown")));
    }
    for region in client.objects("layoutConfig")? {
        member(&region, "uid")?;
        for place in ["x_axis", "y_axis", "width", "height"] {
            if share(&region, place)?.is_none() {
                return Err(region.bad(place, "is missing; it must be 0.0 to 1.0"));
            }
        }
        share(&region, "alpha")?;
        region.integer("render_mode", 0, 1)?;
    }
    for background in client.objects("backgroundConfig")? {
        for needed in ["uid", "image_url"] {
            if background.value(needed).is_none() {
                return Err(background.bad(needed, "is missing"));
            }
        }
        member(&background, "uid")?;
        background.text("image_url")?;
        background.integer("render_mode", 0, 1)?;
    }
    Ok(())
}

/// A member's uid, as a string or a number.
fn member(fields: &Fields<'_>, key: &str) -> Result<(), BadField> {
    let number = match fields.value(key) {
        None => return Ok(()),
        Some(Value::String(text)) if text.is_empty() => return Ok(()),
        Some(Value::String(text)) => text.parse().ok(),
        Some(value) => whole(value),
    };
    match number {
        Some(0..=0xffff_ffff) => Ok(()),
        _ => Err(fields.bad(key, "must hold a whole number from 0 to 4294967295")),
    }
}

fn color(client: &Fields<'_>) -> Result<(), BadField> {
    let digits = match client.text("backgroundColor")? {
        None | Some("") => return Ok(()),
        Some(text) => text.strip_prefix('#').unwrap_or_default(),
    };
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err(client.bad("backgroundColor", "must be # and six hexadecimal digits, like #000000"))
    }
}

/// A part of the whole picture.
fn share(fields: &Fields<'_>, key: &str) -> Result<Option<f64>, BadField> {
    let Some(value) = fields.value(key) else { return Ok(None) };
    let share = value.as_f64().filter(|share| (0.0..=1.0).contains(share));
    share.map(Some).ok_or_else(|| fields.bad(key, "must be a number from 0.0 to 1.0"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn checked(client: &Value) -> Result<(), String> {
        check(&Fields::root(client).unwrap()).map_err(|error| error.to_string())
    }

    fn region() -> Value {
        json!({ "uid": "1", "x_axis": 0, "y_axis": 0.5, "width": 1.0, "height": 0.333_333, "alpha": 1, "render_mode": 1 })
    }

    #[test]
    fn layouts_of_real_callers_are_taken() {
        for layout in [
            json!({}),
            json!({ "mixedVideoLayout": 3, "maxResolutionUid": "1", "width": 0, "height": 0, "fps": 0, "backgroundColor": "" }),
            json!({ "maxResolutionUid": "", "backgroundColor": "#FF00aa", "backgroundImage": "https://example.com/a.jpg" }),
            json!({ "layoutConfig": [region()], "backgroundConfig": [{ "uid": "1", "image_url": "x", "render_mode": 0 }] }),
            json!({ "layoutConfig": [], "backgroundConfig": null }),
        ] {
            assert_eq!(checked(&layout), Ok(()), "{layout}");
        }
    }

    #[test]
    fn what_the_vendor_refuses_is_refused_by_name() {
        let with = |field: &str, value: Value| {
            let mut region = region();
            region[field] = value;
            json!({ "layoutConfig": [region] })
        };
        for (layout, field) in [
            (json!({ "mixedVideoLayout": 4 }), "mixedVideoLayout"),
            (json!({ "mixedVideoLayout": "1" }), "mixedVideoLayout"),
            (json!({ "maxResolutionUid": "alice" }), "maxResolutionUid"),
            (json!({ "maxResolutionUid": 4_294_967_296_u64 }), "maxResolutionUid"),
            (json!({ "backgroundColor": "red" }), "backgroundColor"),
            (json!({ "backgroundColor": "#12345" }), "backgroundColor"),
            (json!({ "backgroundColor": "#12345é" }), "backgroundColor"),
            (json!({ "backgroundImage": 1 }), "backgroundImage"),
            (json!({ "layoutConfig": {} }), "layoutConfig"),
            (json!({ "layoutConfig": [1] }), "layoutConfig[0]"),
            (json!({ "layoutConfig": vec![region(); 18] }), "layoutConfig"),
            (with("x_axis", json!(1.1)), "layoutConfig[0].x_axis"),
            (with("height", json!(null)), "layoutConfig[0].height"),
            (with("alpha", json!(-1)), "layoutConfig[0].alpha"),
            (with("render_mode", json!(2)), "layoutConfig[0].render_mode"),
            (json!({ "backgroundConfig": [{ "uid": "1" }] }), "backgroundConfig[0].image_url"),
        ] {
            let problem = checked(&layout).unwrap_err();
            assert!(problem.starts_with(&format!("{field} ")), "{layout}: {problem}");
        }
    }
}
