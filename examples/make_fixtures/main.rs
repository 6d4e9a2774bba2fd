//! Makes the journals and talkers in `fixtures/` from raw speech; `fixtures/make.sh` calls it. The same speech gives the
//! same files: all chance comes from fixed seeds.

mod chance;
mod scenes;
mod sender;
mod sound;
mod talkers;

use std::path::PathBuf;

use anyhow::Context;
use cloud_recorder::storage::journal::{FileWriter, Record};

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(speech), Some(out)) = (args.next(), args.next()) else {
        anyhow::bail!("usage: make_fixtures SPEECH_DIR OUT_DIR (fixtures/make.sh makes the speech)")
    };
    let speech = sound::Speech::load(&speech)?;
    for scene in scenes::all(&speech)? {
        let path = out.join(format!("{}.journal", scene.spec.cname));
        let mut journal = FileWriter::create(&path).with_context(|| format!("{} can't be made", path.display()))?;
        let sid = scene.spec.sid.clone();
        journal.append(&Record::Started { spec: scene.spec })?;
        for input in scene.inputs {
            journal.append(&Record::Input { sid: sid.clone(), input })?;
        }
        journal.append(&Record::Finished { sid, at: scene.end })?;
        journal.finish()?;
    }
    talkers::write(&speech, &out.join("talkers"))
}
