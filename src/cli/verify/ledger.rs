//! Does the manifest's ledger add up ([`crate::recording::Ledger::audit`]), and is its verdict the one that is told?

use super::manifest::{Manifest, word};
use super::report::{Kind, Report};

/// Says what is wrong with the ledger of the manifest called `name`.
pub(super) fn check(name: &str, manifest: &Manifest, report: &mut Report) {
    let Some(ledger) = &manifest.ledger else { return };
    for what in ledger.audit(manifest.duration()) {
        report.add(Kind::Ledger, name, &what);
    }
    let (own, wait) = (ledger.verdict(), manifest.verdict);
    if let Some(wait) = wait.filter(|wait| *wait != own) {
        let what = format!("it says the recording is {}, its ledger says {}", word(&wait), word(&own));
        report.add(Kind::Ledger, name, &what);
    }
}
