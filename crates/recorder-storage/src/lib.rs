//! What lies on disk and in the customer's bucket.
//!
//! The way of a byte: [`journal`] (what arrived, durable within a second) -> recording core -> [`Spool`] (what was made, durable
//! until the bucket confirmed it) -> bucket. [`vendor`] says where to.

#![forbid(unsafe_code)]

mod bucket;
pub mod bucket_server;
pub mod destination;
mod disk;
pub mod journal;
mod spool;
mod uploader;
pub mod vendor;

pub use bucket::{
    Abilities, Bucket, BucketError, Confirmed, Destinations, Earlier, Held, Listed, MAX_DESTINATIONS, PROOF_TIME, Proof,
};
pub use destination::{Credentials, Destination, Encryption, KeyPrefix};
pub use disk::{Disk, DiskTrouble, DiskWatch};
pub use spool::{
    Files, Fill, LocalFiles, MAX_NAME_BYTES, MEMORY_PER_SESSION, MEMORY_PER_WORKER, MEMORY_RESERVE, ObjectKind,
    RetainedSegments, SessionSpool, Spool, SpoolError, SpoolLimits, SpoolScope, SpooledFile, SpooledObject,
};
pub use uploader::{
    AttemptTimes, CopyQueue, MAX_COPIES, MAX_PROBES, MAX_PUTS, MAX_REPORTS, MAX_WHOLES, Progress, RetryPolicy,
    UploadError, UploadQueue, UploadReport, Uploader, WIDTH,
};
