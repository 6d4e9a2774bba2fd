//! What can be wrong with a journal.

use std::path::{Path, PathBuf};

use recorder_core::error_class::{Classify, ErrorClass};

/// Why a journal can't be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk said no.
    #[error("the journal can't be read or written: {0}; check the disk and the permissions of the data directory")]
    Io(#[from] std::io::Error),
    /// Another writer has the log.
    #[error("the journal's directory is in use by another worker; give each worker a data directory of its own")]
    InUse,
    /// The file is something else.
    #[error("not a journal: the file does not begin with the journal's magic bytes")]
    NotAJournal,
    /// Written by another version of this program.
    #[error("the journal has version {found}, this program reads version {readable}; use the program that wrote it")]
    Version {
        /// The version in the file's header.
        found: u16,
        /// The one that can be read.
        readable: u16,
    },
    /// Bytes in the middle of the file are damaged.
    #[error("the journal is damaged at byte {offset}: {what}; the records before it are good")]
    Damaged {
        /// Where the frame begins that is not understood.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A file of a log can't be read, or not from here on.
    #[error("{}: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Box<Self>,
    },
}

impl JournalError {
    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::File { path: path.to_owned(), error: Box::new(self) }
    }
}

impl Classify for JournalError {
    fn error_class(&self) -> ErrorClass {
        match self {
            Self::Io(_) => ErrorClass::ours("journal_io", true),
            Self::InUse => ErrorClass::ours("journal_in_use", false),
            Self::NotAJournal => ErrorClass::caller("journal_unknown_format"),
            Self::Version { .. } => ErrorClass::caller("journal_version"),
            Self::Damaged { .. } => ErrorClass::ours("journal_damaged", false),
            Self::File { error, .. } => error.error_class(),
        }
    }
}
