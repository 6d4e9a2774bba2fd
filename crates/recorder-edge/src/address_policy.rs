//! Which addresses a name that somebody else chose may lead to: public ones, unless the operator says otherwise.
//!
//! A name is looked at again for each connection, and the connection is made to the addresses that were looked at: a name that was
//! public when it was given and leads inside later gets nothing. Addresses that stand in a URL as such can't change and are looked at
//! once, where the URL is taken.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use recorder_core::units::is_public;

/// What names may lead to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressPolicy {
    /// Anything: the name is the operator's, or the operator allows it.
    #[default]
    Anywhere,
    /// Public addresses alone.
    Public,
}

/// The address that stands in a URL as such; none where it has a host name or no host.
pub fn literal(url: &Url) -> Option<IpAddr> {
    match url.host()? {
        Host::Ipv4(address) => Some(address.into()),
        Host::Ipv6(address) => Some(address.into()),
        Host::Domain(_) => None,
    }
}

/// The addresses of a host name, if it may lead there. Waits for the system's resolver, except for `localhost` and what is below it: these are
/// this machine (RFC 6761 section 6.3), and not every resolver knows it.
pub async fn look_up(name: &str, address_policy: AddressPolicy) -> io::Result<Vec<IpAddr>> {
    let addresses = if is_localhost(name) {
        vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
    } else {
        tokio::net::lookup_host((name, 0)).await?.map(|address| address.ip()).collect()
    };
    if address_policy == AddressPolicy::Anywhere || addresses.iter().all(|address| is_public(*address)) {
        Ok(addresses)
    } else {
        let problem = "the host name leads to a loopback, private or link-local address, which this app may not use";
        Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
    }
}

/// The same where it has to be public.
pub async fn look_up_public(name: &str) -> io::Result<Vec<IpAddr>> {
    look_up(name, AddressPolicy::Public).await
}

fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_that_leads_inside_has_no_addresses() {
        for name in ["localhost", "calls.localhost", "CALLS.Localhost."] {
            let error = look_up_public(name).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
            let here = look_up(name, AddressPolicy::Anywhere).await.unwrap();
            assert!(here.iter().all(IpAddr::is_loopback) && !here.is_empty(), "{name}");
        }
        assert!(!is_localhost("notlocalhost"));
    }
}
