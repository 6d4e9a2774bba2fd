//! From which address a client calls, also from behind proxies.

use std::net::IpAddr;

use axum::http::HeaderMap;

/// The header in which each proxy adds whom it speaks for, the nearest last.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The client's address: the socket's, or where that is a proxy of ours the last one that its header names and that is none.
/// What others write into the header is not believed.
pub fn client_ip(socket: Option<IpAddr>, headers: &HeaderMap, proxies: &[IpAddr]) -> Option<IpAddr> {
    let is_proxy = |ip: &IpAddr| proxies.iter().any(|proxy| proxy.to_canonical() == *ip);
    let mut client = socket?.to_canonical();
    let values: Vec<_> = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
    let mut hops = values.iter().flat_map(|value| value.split(',')).collect::<Vec<_>>().into_iter().rev();
    while is_proxy(&client) {
        let Some(Ok(hop)) = hops.next().map(|hop| hop.trim().parse::<IpAddr>()) else { break };
        client = hop.to_canonical();
    }
    Some(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn from(socket: &str, headers: &[&str], proxies: &[&str]) -> String {
        let mut map = HeaderMap::new();
        for value in headers {
            map.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let proxies: Vec<_> = proxies.iter().map(|proxy| ip(proxy)).collect();
        client_ip(Some(ip(socket)), &map, &proxies).unwrap().to_string()
    }

    #[test]
    fn only_our_proxies_are_believed() {
        assert_eq!(from("192.0.2.1", &["198.51.100.7"], &[]), "192.0.2.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.7"], &["10.0.0.1"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"], &["10.0.0.1", "10.0.0.2"]), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["1.1.1.1", "198.51.100.7"], &["10.0.0.1"]), "198.51.100.7");
        assert_eq!(from("::ffff:10.0.0.1", &["::ffff:198.51.100.7"], &["10.0.0.1"]), "198.51.100.7");
    }

    #[test]
    fn a_proxy_that_says_nothing_useful_is_the_client() {
        assert_eq!(from("10.0.0.1", &[], &["10.0.0.1"]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &["unknown"], &["10.0.0.1"]), "10.0.0.1");
        assert_eq!(client_ip(None, &HeaderMap::new(), &[]), None);
    }
}
