//! Multipart uploads: a directory each below `.store/uploads`, with `upload.json` and the parts, each as `<number>` with what is
//! known about it in `<number>.json`.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::*;
use s3s::{S3Result, TrailingHeaders, s3_error};
use serde::{Deserialize, Serialize};

use super::api::on;
use super::conditions::{ended, for_write};
use super::files::Files;
use super::meta::{Headers, Meta};
use super::receive::{MAX_OBJECT_BYTES, receive};
use super::sums::{Claims, Summer};

/// Most parts of an upload.
const MAX_PARTS: i32 = 10_000;
/// Shortest part but the last, in bytes.
const MIN_PART_BYTES: u64 = 5 << 20;

#[derive(Debug, Serialize, Deserialize)]
struct Upload {
    bucket: String,
    key: String,
    headers: Headers,
}

#[derive(Debug, Serialize, Deserialize)]
struct Part {
    md5: [u8; 16],
    size: u64,
}

pub(super) async fn create(
    files: &Arc<Files>,
    input: CreateMultipartUploadInput,
) -> S3Result<CreateMultipartUploadOutput> {
    let id = uuid::Uuid::new_v4().simple().to_string();
    let upload = Upload {
        bucket: input.bucket.clone(),
        key: input.key.clone(),
        headers: Headers {
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_type: input.content_type,
            metadata: input.metadata,
        },
    };
    let dir = files.uploads_dir().join(&id);
    on(files, move |_| {
        fs::create_dir(&dir)?;
        fs::write(dir.join("upload.json"), serde_json::to_vec(&upload)?)
    })
    .await?;
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        ..CreateMultipartUploadOutput::default()
    })
}

pub(super) async fn upload_part(
    files: &Arc<Files>,
    input: UploadPartInput,
    named: &str,
    trailers: Option<&TrailingHeaders>,
) -> S3Result<UploadPartOutput> {
    let (dir, _) = find(files, input.upload_id, &input.bucket, &input.key).await?;
    if !(1..=MAX_PARTS).contains(&input.part_number) {
        return Err(s3_error!(InvalidArgument, "a part number must be 1 to {MAX_PARTS}"));
    }
    let mut claims = Claims {
        md5: input.content_md5,
        checksum: Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            checksum_type: None,
        },
    };
    let (bytes, sums) = receive(files, input.body, input.content_length, named, &mut claims, trailers).await?;
    let number = input.part_number;
    let md5 = sums.md5;
    on(files, move |_| {
        let part = Part { md5, size: fs::metadata(&bytes.0)?.len() };
        fs::rename(&bytes.0, dir.join(number.to_string()))?;
        fs::write(dir.join(format!("{number}.json")), serde_json::to_vec(&part)?)
    })
    .await?;
    let (claimed, found) = (claims.checksum, sums.checksum);
    Ok(UploadPartOutput {
        e_tag: Some(ETag::Strong(hex::encode(md5))),
        checksum_crc32: claimed.checksum_crc32.and(found.checksum_crc32),
        checksum_crc32c: claimed.checksum_crc32c.and(found.checksum_crc32c),
        checksum_crc64nvme: claimed.checksum_crc64nvme.and(found.checksum_crc64nvme),
        checksum_sha1: claimed.checksum_sha1.and(found.checksum_sha1),
        checksum_sha256: claimed.checksum_sha256.and(found.checksum_sha256),
        ..UploadPartOutput::default()
    })
}

pub(super) async fn complete(
    files: &Arc<Files>,
    input: CompleteMultipartUploadInput,
) -> S3Result<CompleteMultipartUploadOutput> {
    let (dir, upload) = find(files, input.upload_id, &input.bucket, &input.key).await?;
    let condition = for_write(input.if_none_match.as_ref(), input.if_match.as_ref())?;
    let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
    let parts = check_parts(files, &dir, &listed).await?;
    let put = on(files, move |files| {
        let whole = files.temporary();
        let mut out = File::create(&whole.0)?;
        let (mut summer, mut md5s) = (Summer::new(""), Md5::new());
        for (number, part) in &parts {
            io::copy(&mut Summed { file: File::open(dir.join(number.to_string()))?, summer: &mut summer }, &mut out)?;
            md5s.update(&part.md5);
        }
        out.sync_all()?;
        let meta = Meta {
            etag: format!("{}-{}", hex::encode(md5s.finalize()), parts.len()),
            sums: summer.finish().checksum.into(),
            headers: upload.headers,
            ..Meta::default()
        };
        let put = files.put(&upload.bucket, &upload.key, &whole, meta, &condition)?;
        if matches!(put, super::files::Put::Done(_)) {
            fs::remove_dir_all(&dir)?;
        }
        Ok(put)
    });
    let meta = ended(put.await?)?;
    Ok(CompleteMultipartUploadOutput {
        location: Some(format!("/{}/{}", input.bucket, input.key)),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(meta.etag()),
        ..CompleteMultipartUploadOutput::default()
    })
}

pub(super) async fn abort(
    files: &Arc<Files>,
    input: AbortMultipartUploadInput,
) -> S3Result<AbortMultipartUploadOutput> {
    let (dir, _) = find(files, input.upload_id, &input.bucket, &input.key).await?;
    on(files, move |_| fs::remove_dir_all(dir)).await?;
    Ok(AbortMultipartUploadOutput::default())
}

async fn find(files: &Arc<Files>, id: String, bucket: &str, key: &str) -> S3Result<(PathBuf, Upload)> {
    let missing = || s3_error!(NoSuchUpload);
    let id = uuid::Uuid::try_parse(&id).map_err(|_| missing())?.simple().to_string();
    let dir = files.uploads_dir().join(id);
    let json = dir.join("upload.json");
    let upload: Option<Upload> = on(files, move |_| match fs::read(json) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => Ok(Some(serde_json::from_slice(&other?)?)),
    })
    .await?;
    let upload = upload.filter(|upload| upload.bucket == bucket && upload.key == key).ok_or_else(missing)?;
    Ok((dir, upload))
}

/// The parts that the caller lists, if they are there, in order and long enough.
async fn check_parts(files: &Arc<Files>, dir: &Path, listed: &[CompletedPart]) -> S3Result<Vec<(i32, Part)>> {
    let mut parts: Vec<(i32, Part)> = Vec::new();
    for listed in listed {
        let number = listed.part_number.ok_or_else(|| s3_error!(InvalidPart))?;
        if parts.last().is_some_and(|(before, _)| *before >= number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let json = dir.join(format!("{number}.json"));
        let part = on(files, move |_| match fs::read(json) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => Ok(Some(serde_json::from_slice::<Part>(&other?)?)),
        });
        let part = part.await?.ok_or_else(|| s3_error!(InvalidPart))?;
        if listed.e_tag.as_ref().is_some_and(|etag| etag.value() != hex::encode(part.md5)) {
            return Err(s3_error!(InvalidPart));
        }
        parts.push((number, part));
    }
    let (last, others) = parts.split_last().ok_or_else(|| s3_error!(InvalidRequest, "an upload needs a part"))?;
    if others.iter().any(|(_, part)| part.size < MIN_PART_BYTES) {
        return Err(s3_error!(EntityTooSmall));
    }
    if others.iter().map(|(_, part)| part.size).sum::<u64>() + last.1.size > MAX_OBJECT_BYTES {
        return Err(s3_error!(EntityTooLarge));
    }
    Ok(parts)
}

/// A file that is summed as it is read.
struct Summed<'a> {
    file: File,
    summer: &'a mut Summer,
}

impl io::Read for Summed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read(buffer)?;
        self.summer.update(&buffer[..got]);
        Ok(got)
    }
}
