//! Which addresses are public. What a caller or a configuration names may lie inside our own networks only with leave.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is reachable from anywhere: not loopback, private, link-local, or set aside.
pub fn is_public(address: IpAddr) -> bool {
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
    // The relays of 6to4, which nobody runs any more.
    let relay = first == 192 && second == 88 && third == 99;
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || shared
        || benchmark
        || protocol
        || relay
        || first == 0
        || first >= 240)
}

/// Public are global unicast addresses (RFC 4291) alone, without what is set aside in them. All other forms are inside, or lead there:
/// loopback, link-local, site-local (`fec0::`), unique local, and an IPv4 address as compatible (`::a.b.c.d`), translated
/// (`::ffff:0:a.b.c.d`) or behind a NAT64 prefix (`64:ff9b::`).
fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let global = (0x2000..0x4000).contains(&first);
    // Of IETF protocols, among them Teredo, which embeds an IPv4 address.
    let protocol = first == 0x2001 && second < 0x200;
    // 6to4 embeds an IPv4 address.
    let six_to_four = first == 0x2002;
    let documentation = (first == 0x2001 && second == 0xdb8) || (first == 0x3fff && second < 0x1000);
    global && !protocol && !six_to_four && !documentation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(text: &str) -> bool {
        is_public(text.parse().unwrap())
    }

    #[test]
    fn only_global_unicast_is_public() {
        for text in
            ["2606:4700::1111", "2a00:1450:4001:80e::200e", "2001:200::1", "2400:cb00::1", "::ffff:93.184.216.34"]
        {
            assert!(public(text), "{text}");
        }
        for text in [
            "::",
            "::1",
            "::127.0.0.1",
            "::93.184.216.34",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:0:127.0.0.1",
            "::ffff:0:93.184.216.34",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "100::1",
            "2001::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "4000::1",
            "5f00::1",
            "fc00::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "feff::1",
            "ff02::1",
        ] {
            assert!(!public(text), "{text}");
        }
    }

    #[test]
    fn what_is_set_aside_in_ipv4_is_not_public() {
        assert!(public("93.184.216.34") && public("192.0.1.1") && public("100.128.0.1"));
        for text in ["0.0.0.0", "10.1.2.3", "100.64.0.1", "127.9.9.9", "169.254.169.254", "172.16.0.1", "192.0.0.8"] {
            assert!(!public(text), "{text}");
        }
        for text in
            ["192.88.99.1", "192.168.0.1", "198.18.0.1", "203.0.113.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"]
        {
            assert!(!public(text), "{text}");
        }
    }
}
