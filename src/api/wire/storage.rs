//! `storageConfig` as callers send it (docs/protocol/agora.md section 2.3). Which vendors and regions exist is `storage`'s knowledge;
//! here each field gets its type. `stsExpiration` is not read: the store itself says when a token has expired.

use secrecy::SecretString;

use super::fields::{BadField, Fields};
use crate::session::{ExtensionParams, StorageConfigParts};

/// Reads a storageConfig; none, for the app's default storage, when it says nothing (docs/protocol/callers.md section 1).
pub(crate) fn parse(fields: &Fields<'_>) -> Result<Option<StorageConfigParts>, BadField> {
    let text = |key: &str| Ok::<_, BadField>(fields.text(key)?.map(str::to_owned));
    let secret = |key: &str| Ok::<_, BadField>(fields.text(key)?.map(SecretString::from));
    let number = |key: &str| Ok::<_, BadField>(fields.integer(key, 0, 255)?.map(|number| number as i64));
    let extension = fields.object("extensionParams")?;
    let extra = |key: &str| Ok::<_, BadField>(extension.text(key)?.map(str::to_owned));
    if extra("tag")?.is_some_and(|tag| !tag.is_empty()) {
        let problem =
            "asks for tags on objects, which are not set; leave it out and let the bucket's rules go by fileNamePrefix";
        return Err(extension.bad("tag", problem));
    }
    live_playlist(fields)?;
    let prefix = fields.texts("fileNamePrefix")?.into_iter().map(str::to_owned).collect();
    let parts = StorageConfigParts {
        vendor: number("vendor")?,
        region: number("region")?,
        bucket: text("bucket")?,
        access_key: secret("accessKey")?,
        secret_key: secret("secretKey")?,
        sts_token: secret("stsToken")?,
        file_name_prefix: Some(prefix),
        extension_params: Some(ExtensionParams {
            endpoint: extra("endpoint")?,
            region: extra("region")?,
            path_style: extension.choice("pathStyle")?,
            sse: extra("sse")?,
        }),
    };
    Ok((!parts.is_blank()).then_some(parts))
}

/// Whether each playlist is to lie there under a second name too. The vendor has it among what extends a storageConfig; it is about
/// playlists, whoever's bucket they go to.
pub(crate) fn live_playlist(fields: &Fields<'_>) -> Result<bool, BadField> {
    fields.object("extensionParams")?.flag("enableLivePlaylist")
}
