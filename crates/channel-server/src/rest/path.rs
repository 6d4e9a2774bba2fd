//! The paths below `/dev/v1`, decoded; a slash at the end is let through, as older documents write it.

use axum::http::Method;

use super::kicking::Change;

/// A call as its method and path say it, parts unchecked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// `GET channel/{app}`
    Channels { app: String },
    /// `GET channel/user/{app}/{channel}` and `…/hosts_only`
    Users { app: String, channel: String, hosts_only: bool },
    /// `GET channel/user/property/{app}/{uid}/{channel}`
    Property { app: String, uid: String, channel: String },
    /// `GET kicking-rule`
    Rules,
    /// `POST`, `PUT`, `DELETE kicking-rule`
    ChangeRules(Change),
    /// `GET projects`
    Projects,
    /// `GET project`
    Project,
    /// Everything that would change a project.
    ChangeProjects,
}

/// The call that `method` and the path behind `/dev/v1/` name; none for unknown paths and wrong methods.
pub(super) fn parse(method: &Method, rest: &str) -> Option<Call> {
    let parts: Vec<&str> = rest.strip_suffix('/').unwrap_or(rest).split('/').collect();
    let owned = |part: &str| part.to_owned();
    let call = match (method.as_str(), parts.as_slice()) {
        ("GET", ["channel", "user", "property", app, uid, channel]) => {
            Call::Property { app: owned(app), uid: owned(uid), channel: owned(channel) }
        }
        ("GET", ["channel", "user", app, channel]) => {
            Call::Users { app: owned(app), channel: owned(channel), hosts_only: false }
        }
        ("GET", ["channel", "user", app, channel, "hosts_only"]) => {
            Call::Users { app: owned(app), channel: owned(channel), hosts_only: true }
        }
        ("GET", ["channel", app]) => Call::Channels { app: owned(app) },
        ("GET", ["kicking-rule"]) => Call::Rules,
        ("POST", ["kicking-rule"]) => Call::ChangeRules(Change::Create),
        ("PUT", ["kicking-rule"]) => Call::ChangeRules(Change::Update),
        ("DELETE", ["kicking-rule"]) => Call::ChangeRules(Change::Delete),
        ("GET", ["projects"]) => Call::Projects,
        ("GET", ["project"]) => Call::Project,
        ("POST", ["project" | "project_status" | "signkey" | "reset_signkey" | "recording_config"]) => {
            Call::ChangeProjects
        }
        _ => return None,
    };
    Some(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_paths_are_found() {
        let users = |hosts_only| Call::Users { app: "a".into(), channel: "room 1".into(), hosts_only };
        for (method, path, call) in [
            (Method::GET, "channel/a", Call::Channels { app: "a".into() }),
            (Method::GET, "channel/user/a/room 1", users(false)),
            (Method::GET, "channel/user/a/room 1/hosts_only", users(true)),
            (
                Method::GET,
                "channel/user/property/a/7/c",
                Call::Property { app: "a".into(), uid: "7".into(), channel: "c".into() },
            ),
            (Method::POST, "kicking-rule", Call::ChangeRules(Change::Create)),
            (Method::DELETE, "kicking-rule/", Call::ChangeRules(Change::Delete)),
            (Method::GET, "projects/", Call::Projects),
            (Method::POST, "reset_signkey", Call::ChangeProjects),
        ] {
            assert_eq!(parse(&method, path), Some(call), "{method} {path}");
        }
    }

    #[test]
    fn wrong_methods_and_unknown_paths_are_not_calls() {
        for (method, path) in [
            (Method::POST, "channel/a"),
            (Method::PATCH, "kicking-rule"),
            (Method::GET, "channel/user/a/b/c"),
            (Method::GET, "ncs/ip"),
            (Method::GET, ""),
        ] {
            assert_eq!(parse(&method, path), None, "{method} {path}");
        }
    }
}
