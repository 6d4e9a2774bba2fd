//! Which endpoints a caller may name: without leave, none inside our own networks.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// Refuses an endpoint that is, or whose name resolves to, an address that is not public. The text names the problem.
///
/// The check is made once, at start: it keeps callers from probing a network, it does not replace a firewall.
pub(super) async fn refuse_private(endpoint: &Url) -> Result<(), String> {
    let addresses: Vec<IpAddr> = match endpoint.host() {
        Some(Host::Ipv4(address)) => vec![address.into()],
        Some(Host::Ipv6(address)) => vec![address.into()],
        Some(Host::Domain(name)) => {
            let port = endpoint.port_or_known_default().unwrap_or(443);
            let found = tokio::net::lookup_host((name, port)).await;
            found
                .map_err(|_| format!("the host name {name:?} can't be resolved"))?
                .map(|address| address.ip())
                .collect()
        }
        None => return Err("it names no host".into()),
    };
    if addresses.iter().all(|address| is_public(*address)) {
        Ok(())
    } else {
        Err("it is in a loopback, private or link-local range, which this app may not use".into())
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(mapped) => is_public_v4(mapped),
            None => is_public_v6(address),
        },
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    let benchmark = first == 198 && (second == 18 || second == 19);
    let protocol = first == 192 && second == 0 && third == 0;
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || shared
        || benchmark
        || protocol
        || first == 0
        || first >= 240)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embeds_v4 = segments[0] == 0x2002 || segments[..2] == [0x64, 0xff9b];
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || embeds_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_inside_are_refused_however_they_are_spelt() {
        for url in [
            "http://127.0.0.1:9000",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://localhost/",
            "http://10.1.2.3/",
            "http://169.254.169.254/latest/meta-data",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fd00::1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://100.64.0.1/",
            "http://0.0.0.0/",
        ] {
            assert!(refuse_private(&Url::parse(url).unwrap()).await.is_err(), "{url}");
        }
    }

    #[tokio::test]
    async fn public_addresses_pass() {
        for url in ["https://93.184.216.34/", "https://[2606:4700::1111]/"] {
            assert_eq!(refuse_private(&Url::parse(url).unwrap()).await, Ok(()), "{url}");
        }
    }
}
