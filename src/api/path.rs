//! The paths of the API, read by hand: callers send empty parts, region prefixes and a literal `%s`, which a router's patterns
//! would not let through (docs/protocol/callers.md section 1).

use axum::http::Method;

/// A call as its method and path say it, parts unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call<'a> {
    /// The app part: an app id, `%s`, or empty.
    pub(crate) app: &'a str,
    /// What is asked.
    pub(crate) target: Target<'a>,
}

/// What a call is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target<'a> {
    /// `POST …/cloud_recording/acquire`
    Acquire,
    /// `POST …/cloud_recording/resourceid/{resource}/mode/{mode}/start`
    Start { resource: &'a str, mode: &'a str },
    /// `…/cloud_recording/resourceid/{resource}/sid/{sid}/mode/{mode}/{action}`
    Task { resource: &'a str, sid: &'a str, mode: &'a str, action: Action },
    /// `GET …/recordings`
    Recordings,
    /// `GET …/recordings/{sid}`
    Recording { sid: &'a str },
    /// `GET …/recordings/{sid}/events`
    Events { sid: &'a str },
    /// `GET …/callbacks`
    Callbacks,
    /// `POST …/callbacks/redeliver`
    Redeliver,
    /// `POST …/callbacks/test`
    TestCallback,
}

/// Which call it is, without its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallKind {
    Acquire,
    Start,
    Task(Action),
    /// One of our additions.
    Additive,
}

impl Target<'_> {
    /// Whether the call's body is read. A query means nothing by its own.
    pub(crate) const fn has_body(self) -> bool {
        matches!(
            self,
            Self::Acquire
                | Self::Start { .. }
                | Self::Task { action: Action::Update | Action::UpdateLayout | Action::Stop, .. }
                | Self::Redeliver
                | Self::TestCallback
        )
    }

    /// The sid in the path, unchecked.
    pub(crate) const fn sid(&self) -> Option<&str> {
        match self {
            Self::Task { sid, .. } | Self::Recording { sid } | Self::Events { sid } => Some(*sid),
            _ => None,
        }
    }

    /// As a word, one for each path.
    pub(crate) const fn route(self) -> &'static str {
        match self {
            Self::Recordings => "recordings",
            Self::Recording { .. } => "recording",
            Self::Events { .. } => "events",
            Self::Callbacks => "callbacks",
            Self::Redeliver => "callbacks_redeliver",
            Self::TestCallback => "callbacks_test",
            Self::Acquire | Self::Start { .. } | Self::Task { .. } => self.door().word(),
        }
    }

    /// Which call it is.
    pub(crate) const fn door(self) -> CallKind {
        match self {
            Self::Acquire => CallKind::Acquire,
            Self::Start { .. } => CallKind::Start,
            Self::Task { action, .. } => CallKind::Task(action),
            Self::Recordings
            | Self::Recording { .. }
            | Self::Events { .. }
            | Self::Callbacks
            | Self::Redeliver
            | Self::TestCallback => CallKind::Additive,
        }
    }
}

impl CallKind {
    /// As a word for metrics.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::Start => "start",
            Self::Task(Action::Query) => "query",
            Self::Task(Action::Update) => "update",
            Self::Task(Action::UpdateLayout) => "updateLayout",
            Self::Task(Action::Stop) => "stop",
            Self::Additive => "additive",
        }
    }
}

/// What is asked of a started task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Query,
    Update,
    UpdateLayout,
    Stop,
}

/// The call that `method` and `path` name; none for unknown paths and wrong methods.
pub(crate) fn parse<'a>(method: &Method, path: &'a str) -> Option<Call<'a>> {
    let mut parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    if parts.len() > 1 && parts.last() == Some(&"") {
        parts.pop();
    }
    let parts = match parts.as_slice() {
        ["na" | "eu" | "ap" | "cn", rest @ ..] => rest,
        all => all,
    };
    let ["v1", "apps", app, rest @ ..] = parts else { return None };
    let get = *method == Method::GET;
    let post = *method == Method::POST;
    let target = match *rest {
        ["cloud_recording", "acquire"] if post => Target::Acquire,
        ["cloud_recording", "resourceid", resource, "mode", mode, "start"] if post => Target::Start { resource, mode },
        ["cloud_recording", "resourceid", resource, "sid", sid, "mode", mode, action] => {
            let action = match action {
                "query" if get => Action::Query,
                "update" if post => Action::Update,
                "updateLayout" if post => Action::UpdateLayout,
                "stop" if post => Action::Stop,
                _ => return None,
            };
            Target::Task { resource, sid, mode, action }
        }
        ["recordings"] if get => Target::Recordings,
        ["recordings", sid] if get => Target::Recording { sid },
        ["recordings", sid, "events"] if get => Target::Events { sid },
        ["callbacks"] if get => Target::Callbacks,
        ["callbacks", "redeliver"] if post => Target::Redeliver,
        ["callbacks", "test"] if post => Target::TestCallback,
        _ => return None,
    };
    Some(Call { app, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_paths_are_found() {
        let call = parse(&Method::POST, "/v1/apps/a/cloud_recording/acquire");
        assert_eq!(call, Some(Call { app: "a", target: Target::Acquire }));
        let call = parse(&Method::GET, "/v1/apps/a/cloud_recording/resourceid/r/sid/s/mode/mix/query");
        let task = Target::Task { resource: "r", sid: "s", mode: "mix", action: Action::Query };
        assert_eq!(call, Some(Call { app: "a", target: task }));
        for path in ["/v1/apps/a/recordings", "/v1/apps/a/recordings/"] {
            assert_eq!(parse(&Method::GET, path), Some(Call { app: "a", target: Target::Recordings }), "{path}");
        }
    }

    #[test]
    fn regions_placeholders_and_empty_parts_are_let_through() {
        let call = parse(&Method::POST, "/na/v1/apps/%s/cloud_recording/resourceid//mode/mix/start").unwrap();
        assert_eq!(call, Call { app: "%s", target: Target::Start { resource: "", mode: "mix" } });
        assert!(parse(&Method::POST, "/v1/apps//cloud_recording/acquire").is_some());
    }

    #[test]
    fn wrong_methods_and_unknown_paths_are_not_calls() {
        for (method, path) in [
            (Method::GET, "/v1/apps/a/cloud_recording/acquire"),
            (Method::GET, "/v1/apps/a/cloud_recording/resourceid/r/sid/s/mode/mix/update"),
            (Method::POST, "/v1/apps/a/cloud_recording/resourceid/r/sid/s/mode/mix/query"),
            (Method::GET, "/"),
            (Method::GET, "/xx/v1/apps/a/recordings/s"),
            (Method::POST, "/v1/apps/a/recordings"),
            (Method::GET, "/v1/apps/a/recordings/../s"),
        ] {
            assert_eq!(parse(&method, path), None, "{method} {path}");
        }
    }
}
