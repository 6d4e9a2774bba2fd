//! The S3 operations that the embedded bucket has.

use std::io;
use std::sync::Arc;

use s3s::dto::*;
use s3s::{S3, S3Error, S3Request, S3Response, S3Result, s3_error};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::task::spawn_blocking;
use tokio_util::io::ReaderStream;

use super::conditions::{check_read, ended, for_write};
use super::files::Files;
use super::listing::{self, Line, Page};
use super::meta::{Headers, Meta};
use super::multipart;
use super::receive::{named_sums, receive};
use super::sums::Claims;

/// The operations over the files.
pub(super) struct Api(pub(super) Arc<Files>);

/// Work on the files, off the async threads.
pub(super) async fn on<T: Send + 'static>(
    files: &Arc<Files>,
    work: impl FnOnce(&Files) -> io::Result<T> + Send + 'static,
) -> S3Result<T> {
    let files = Arc::clone(files);
    let result = spawn_blocking(move || work(&files)).await.map_err(S3Error::internal_error)?;
    result.map_err(|error| {
        tracing::error!(%error, "the embedded bucket's disk refuses");
        S3Error::internal_error(error)
    })
}

impl Api {
    fn bucket(&self, name: &str) -> S3Result<()> {
        if self.0.has_bucket(name) { Ok(()) } else { Err(s3_error!(NoSuchBucket)) }
    }

    async fn find(&self, bucket: &str, key: &str) -> S3Result<(std::fs::File, Meta)> {
        self.bucket(bucket)?;
        let (bucket, key) = (bucket.to_owned(), key.to_owned());
        on(&self.0, move |files| files.get(&bucket, &key)).await?.ok_or_else(|| s3_error!(NoSuchKey))
    }

    /// A page of keys, and of each object what a listing says.
    async fn list(
        &self,
        bucket: &str,
        prefix: Option<String>,
        delimiter: Option<String>,
        after: String,
        most: Option<i32>,
        url: bool,
    ) -> S3Result<Listed> {
        self.bucket(bucket)?;
        let (bucket, prefix) = (bucket.to_owned(), prefix.unwrap_or_default());
        let most = most.map_or(listing::MAX_PAGE, |most| usize::try_from(most).unwrap_or(0));
        on(&self.0, move |files| {
            let keys = files.keys(&bucket, &prefix)?;
            let Page { lines, next } = listing::page(&keys, &prefix, delimiter.as_deref(), &after, most);
            let encode = |text: String| if url { listing::url_encode(&text) } else { text };
            let mut listed = Listed { next, ..Listed::default() };
            for line in lines {
                match line {
                    Line::Folder(folder) => listed.folders.push(CommonPrefix { prefix: Some(encode(folder)) }),
                    Line::Key(key) => {
                        // Removed since the walk.
                        let Some((_, meta)) = files.get(&bucket, &key)? else { continue };
                        listed.objects.push(Object {
                            e_tag: Some(meta.etag()),
                            last_modified: Some(meta.last_modified()),
                            size: i64::try_from(meta.file.size).ok(),
                            key: Some(encode(key)),
                            ..Object::default()
                        });
                    }
                }
            }
            Ok(listed)
        })
        .await
    }
}

#[derive(Default)]
struct Listed {
    objects: Vec<Object>,
    folders: Vec<CommonPrefix>,
    next: Option<String>,
}

fn is_asked(mode: Option<&ChecksumMode>) -> bool {
    mode.is_some_and(|mode| mode.as_str() == ChecksumMode::ENABLED)
}

#[async_trait::async_trait]
impl S3 for Api {
    async fn list_buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = on(&self.0, Files::buckets).await?;
        let buckets = buckets.into_iter().map(|(name, made)| Bucket {
            name: Some(name),
            creation_date: made.modified().ok().map(Timestamp::from),
            ..Bucket::default()
        });
        Ok(S3Response::new(ListBucketsOutput { buckets: Some(buckets.collect()), ..ListBucketsOutput::default() }))
    }

    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = req.input.bucket;
        let location = Some(format!("/{bucket}"));
        match on(&self.0, move |files| files.make_bucket(&bucket)).await? {
            true => Ok(S3Response::new(CreateBucketOutput { location })),
            false => Err(s3_error!(BucketAlreadyOwnedByYou)),
        }
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(HeadBucketOutput::default()))
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        self.bucket(&req.input.bucket)?;
        Ok(S3Response::new(GetBucketLocationOutput::default()))
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> S3Result<S3Response<DeleteBucketOutput>> {
        self.bucket(&req.input.bucket)?;
        match on(&self.0, move |files| files.remove_bucket(&req.input.bucket)).await? {
            true => Ok(S3Response::new(DeleteBucketOutput::default())),
            false => Err(s3_error!(BucketNotEmpty)),
        }
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let (named, input) = (named_sums(&req.headers), req.input);
        self.bucket(&input.bucket)?;
        let condition = for_write(input.if_none_match.as_ref(), input.if_match.as_ref())?;
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
        let trailers = req.trailing_headers.as_ref();
        let (bytes, sums) = receive(&self.0, input.body, input.content_length, &named, &mut claims, trailers).await?;
        let headers = Headers {
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_type: input.content_type,
            metadata: input.metadata,
        };
        let meta = Meta { etag: hex::encode(sums.md5), sums: sums.checksum.into(), headers, ..Meta::default() };
        let (bucket, key) = (input.bucket, input.key);
        let meta = ended(on(&self.0, move |files| files.put(&bucket, &key, &bytes, meta, &condition)).await?)?;
        let sums = meta.checksum();
        Ok(S3Response::new(PutObjectOutput {
            e_tag: Some(meta.etag()),
            checksum_crc32: claims.checksum.checksum_crc32.and(sums.checksum_crc32),
            checksum_crc32c: claims.checksum.checksum_crc32c.and(sums.checksum_crc32c),
            checksum_crc64nvme: claims.checksum.checksum_crc64nvme.and(sums.checksum_crc64nvme),
            checksum_sha1: claims.checksum.checksum_sha1.and(sums.checksum_sha1),
            checksum_sha256: claims.checksum.checksum_sha256.and(sums.checksum_sha256),
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(&self, req: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = req.input;
        let (file, meta) = self.find(&input.bucket, &input.key).await?;
        let (over, new) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        check_read(&meta, over, new, input.if_modified_since.as_ref(), input.if_unmodified_since.as_ref())?;
        let size = meta.file.size;
        let range = input.range.map(|range| range.check(size)).transpose()?;
        let (start, length) = range.as_ref().map_or((0, size), |range| (range.start, range.end - range.start));
        let mut file = tokio::fs::File::from_std(file);
        file.seek(io::SeekFrom::Start(start)).await.map_err(S3Error::internal_error)?;
        // A sum of the whole object says nothing about a part of it.
        let sums = if range.is_none() && is_asked(input.checksum_mode.as_ref()) {
            meta.checksum()
        } else {
            Checksum::default()
        };
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(StreamingBlob::wrap(ReaderStream::with_capacity(file.take(length), 1 << 16))),
            content_length: i64::try_from(length).ok(),
            content_range: range.map(|range| format!("bytes {}-{}/{size}", range.start, range.end - 1)),
            e_tag: Some(meta.etag()),
            last_modified: Some(meta.last_modified()),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            cache_control: meta.headers.cache_control,
            content_disposition: meta.headers.content_disposition,
            content_encoding: meta.headers.content_encoding,
            content_language: meta.headers.content_language,
            content_type: meta.headers.content_type,
            metadata: meta.headers.metadata,
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = req.input;
        let (_, meta) = self.find(&input.bucket, &input.key).await?;
        let (over, new) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        check_read(&meta, over, new, input.if_modified_since.as_ref(), input.if_unmodified_since.as_ref())?;
        let sums = if is_asked(input.checksum_mode.as_ref()) { meta.checksum() } else { Checksum::default() };
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: i64::try_from(meta.file.size).ok(),
            e_tag: Some(meta.etag()),
            last_modified: Some(meta.last_modified()),
            checksum_crc32: sums.checksum_crc32,
            checksum_crc32c: sums.checksum_crc32c,
            checksum_crc64nvme: sums.checksum_crc64nvme,
            checksum_sha1: sums.checksum_sha1,
            checksum_sha256: sums.checksum_sha256,
            checksum_type: sums.checksum_type,
            cache_control: meta.headers.cache_control,
            content_disposition: meta.headers.content_disposition,
            content_encoding: meta.headers.content_encoding,
            content_language: meta.headers.content_language,
            content_type: meta.headers.content_type,
            metadata: meta.headers.metadata,
            ..HeadObjectOutput::default()
        }))
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> S3Result<S3Response<DeleteObjectOutput>> {
        let DeleteObjectInput { bucket, key, .. } = req.input;
        self.bucket(&bucket)?;
        on(&self.0, move |files| files.remove(&bucket, &key)).await?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(&self, req: S3Request<DeleteObjectsInput>) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let DeleteObjectsInput { bucket, delete, .. } = req.input;
        self.bucket(&bucket)?;
        let deleted = on(&self.0, move |files| {
            let keys = delete.objects.into_iter().map(|object| object.key);
            keys.map(|key| {
                files.remove(&bucket, &key).map(|()| DeletedObject { key: Some(key), ..DeletedObject::default() })
            })
            .collect::<io::Result<Vec<_>>>()
        });
        let deleted = Some(deleted.await?);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..DeleteObjectsOutput::default() }))
    }

    async fn list_objects_v2(&self, req: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = req.input;
        let after = match &input.continuation_token {
            Some(token) => {
                listing::read_token(token).ok_or_else(|| s3_error!(InvalidArgument, "not a token of ours"))?
            }
            None => input.start_after.clone().unwrap_or_default(),
        };
        let (prefix, delimiter) = (input.prefix.clone(), input.delimiter.clone());
        let url = input.encoding_type.is_some();
        let Listed { objects, folders, next } =
            self.list(&input.bucket, prefix, delimiter, after, input.max_keys, url).await?;
        Ok(S3Response::new(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: input.prefix,
            delimiter: input.delimiter,
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            key_count: i32::try_from(objects.len() + folders.len()).ok(),
            continuation_token: input.continuation_token,
            is_truncated: Some(next.is_some()),
            next_continuation_token: next.map(|next| listing::write_token(&next)),
            contents: Some(objects),
            common_prefixes: Some(folders),
            encoding_type: input.encoding_type,
            start_after: input.start_after,
            ..ListObjectsV2Output::default()
        }))
    }

    async fn list_objects(&self, req: S3Request<ListObjectsInput>) -> S3Result<S3Response<ListObjectsOutput>> {
        let input = req.input;
        let (prefix, delimiter) = (input.prefix.clone(), input.delimiter.clone());
        let after = input.marker.clone().unwrap_or_default();
        let url = input.encoding_type.is_some();
        let Listed { objects, folders, next } =
            self.list(&input.bucket, prefix, delimiter, after, input.max_keys, url).await?;
        Ok(S3Response::new(ListObjectsOutput {
            name: Some(input.bucket),
            prefix: input.prefix,
            marker: input.marker,
            delimiter: input.delimiter,
            max_keys: Some(input.max_keys.unwrap_or(1000)),
            is_truncated: Some(next.is_some()),
            next_marker: next.map(|next| if url { listing::url_encode(&next) } else { next }),
            contents: Some(objects),
            common_prefixes: Some(folders),
            encoding_type: input.encoding_type,
            ..ListObjectsOutput::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        self.bucket(&req.input.bucket)?;
        multipart::create(&self.0, req.input).await.map(S3Response::new)
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> S3Result<S3Response<UploadPartOutput>> {
        let named = named_sums(&req.headers);
        multipart::upload_part(&self.0, req.input, &named, req.trailing_headers.as_ref()).await.map(S3Response::new)
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        self.bucket(&req.input.bucket)?;
        multipart::complete(&self.0, req.input).await.map(S3Response::new)
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        multipart::abort(&self.0, req.input).await.map(S3Response::new)
    }
}
