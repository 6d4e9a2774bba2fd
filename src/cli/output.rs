//! What commands print. Nothing else in `cli` writes to standard output or standard error, so that none of them panics when the
//! reader goes away: `verify … | head -1` is no failure.
//!
//! A command whose output nobody reads any more ends at once and without a word, with exit code [`CLOSED`], as programs do that the
//! shell's signal SIGPIPE ends. A worker goes on without its banner and its log.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Exit code of a command whose reader went away: 128 and the number of SIGPIPE.
pub(super) const CLOSED: u8 = 141;

/// Why something was not printed.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutputError {
    /// The reader went away. Nobody is told.
    #[error("standard output is closed")]
    Closed,
    /// Another reason, such as a full disk.
    #[error("standard output takes nothing: {0}")]
    Failed(io::Error),
}

/// Prints a line to standard output: `line(format_args!("{count} events"))`.
pub(super) fn line(text: Arguments<'_>) -> Result<(), OutputError> {
    write_line(&mut io::stdout().lock(), text)
}

/// Prints a line to standard error. That nobody reads it is no reason to stop.
pub(super) fn error(text: Arguments<'_>) {
    let _unread = writeln!(io::stderr().lock(), "{text}");
}

/// What went wrong with all its causes. A cause that was said already, because the error above it has its words, is not said twice.
pub(super) fn words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        known if known.contains(&cause) => said,
        _ => format!("{said}: {cause}"),
    })
}

/// Whether a command failed for nothing but that its reader went away.
pub(super) fn is_closed(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| matches!(cause.downcast_ref(), Some(OutputError::Closed)))
}

fn write_line(out: &mut impl Write, text: Arguments<'_>) -> Result<(), OutputError> {
    let written = writeln!(out, "{text}").and_then(|()| out.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => OutputError::Closed,
        _ => OutputError::Failed(error),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refusing(io::ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("can't read the file: {0}; look for it")]
        struct Unread(#[from] io::Error);
        let missing = || Unread(io::Error::other("no such thing"));
        assert_eq!(words(&missing().into()), "can't read the file: no such thing; look for it");
        let above = anyhow::Error::from(missing()).context("nothing is done");
        assert_eq!(words(&above), "nothing is done: can't read the file: no such thing; look for it");
    }

    #[test]
    fn a_reader_that_went_away_is_told_from_a_full_disk() {
        let said = |kind| write_line(&mut Refusing(kind), format_args!("a")).unwrap_err();
        let closed = anyhow::Error::from(said(io::ErrorKind::BrokenPipe)).context("the report");
        assert!(is_closed(&closed));
        assert!(!is_closed(&said(io::ErrorKind::StorageFull).into()));
        assert!(!is_closed(&io::Error::from(io::ErrorKind::BrokenPipe).into()), "a socket's is another matter");
    }
}
