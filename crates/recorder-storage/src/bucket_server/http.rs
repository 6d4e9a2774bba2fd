//! The embedded bucket's door: credentials, anonymous reads, CORS, the listener.

use std::sync::Arc;

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderName, LAST_MODIFIED};
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use s3s::{HttpError, S3Result, s3_error};
use secrecy::ExposeSecret;
use tower_http::cors::{Any, CorsLayer};

use super::Settings;
use super::api::Api;
use super::files::Files;

/// The operations that anybody may use where objects are public.
const PUBLIC: [&str; 2] = ["GetObject", "HeadObject"];

pub(super) fn router(files: Arc<Files>, settings: &Settings) -> Router {
    let mut s3 = S3ServiceBuilder::new(Api(files));
    s3.set_auth(SimpleAuth::from_single(settings.access_key.clone(), settings.secret_key.expose_secret()));
    s3.set_access(Access { public_read: settings.public_read });
    let exposed = [ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED];
    let cors =
        CorsLayer::new().allow_origin(Any).allow_methods(Any).allow_headers(Any).expose_headers(
            exposed.into_iter().chain([HeaderName::from_static("x-amz-request-id")]).collect::<Vec<_>>(),
        );
    Router::new().fallback_service(HandleError::new(s3.build(), failed)).layer(cors)
}

async fn failed(error: HttpError) -> StatusCode {
    tracing::error!(?error, "the embedded bucket could not answer");
    StatusCode::INTERNAL_SERVER_ERROR
}

struct Access {
    public_read: bool,
}

#[async_trait::async_trait]
impl S3Access for Access {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let public = self.public_read && PUBLIC.contains(&cx.s3_op().name());
        if cx.credentials().is_some() || public {
            return Ok(());
        }
        Err(s3_error!(AccessDenied, "Signature is required"))
    }
}
