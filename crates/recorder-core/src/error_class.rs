//! What every error can say: its code, whether a retry helps, and whose fault it is (invariant 12).

/// Who has to act for the error to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Blame {
    /// The app server that called us.
    Caller,
    /// The bucket, the callback receiver or the channel that the caller named.
    Destination,
    /// This worker.
    Ours,
}

/// The verdict on an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorClass {
    /// A stable word for logs, metrics and answers, `snake_case`.
    pub code: &'static str,
    /// Whether the same request can succeed later without anybody changing anything.
    pub retry: bool,
    /// Whose fault it is.
    pub blame: Blame,
}

impl ErrorClass {
    /// A fault of the caller; the same request fails again.
    pub const fn caller(code: &'static str) -> Self {
        Self { code, retry: false, blame: Blame::Caller }
    }

    /// A fault of a destination.
    pub const fn destination(code: &'static str, retry: bool) -> Self {
        Self { code, retry, blame: Blame::Destination }
    }

    /// A fault of ours.
    pub const fn ours(code: &'static str, retry: bool) -> Self {
        Self { code, retry, blame: Blame::Ours }
    }
}

/// An error that knows its verdict.
pub trait Classify: std::error::Error {
    /// Code, retry and blame of this error.
    fn error_class(&self) -> ErrorClass;
}
