//! What every outer part of the worker shares.
//!
//! [`clock`]: the one place that reads wall time. [`serving`]: HTTP ports with limits of time and number, and the client's address behind
//! proxies. [`address_policy`]: where a name that somebody else chose may lead. [`metrics`]: what is counted.

#![forbid(unsafe_code)]

pub mod address_policy;
pub mod clock;
pub mod metrics;
pub mod serving;
