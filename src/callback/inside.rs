//! Receivers in our own networks: without leave none is asked, whatever its name resolves to at the moment of asking.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::Url;

use crate::address_policy::{literal, look_up_public};
use crate::units::is_public;

/// What is said of them.
const REFUSED: &str = "its address is in a loopback, private or link-local range, which this app may not use; \
                       set allow_private_endpoints for the app, or callback_url to a public receiver";

/// Refuses a URL that names such an address itself.
pub(super) fn refuse_literal(url: &Url) -> Result<(), &'static str> {
    if literal(url).is_none_or(is_public) { Ok(()) } else { Err(REFUSED) }
}

/// Resolves names to public addresses alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicOnly;

impl Resolve for PublicOnly {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses = look_up_public(name.as_str()).await.map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => REFUSED.into(),
                _ => Box::<dyn Error + Send + Sync>::from(error),
            })?;
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
