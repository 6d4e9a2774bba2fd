//! As much of STUN (RFC 8489) as it takes to see whom a binding request is for.

const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER_LEN: usize = 20;
const BINDING_REQUEST: [u8; 2] = [0, 1];
const USERNAME: u16 = 6;

/// The receiver's ICE fragment in a binding request: what stands before the colon of USERNAME.
pub(super) fn addressee(datagram: &[u8]) -> Option<&str> {
    let (header, mut attributes) = datagram.split_at_checked(HEADER_LEN)?;
    if header[..2] != BINDING_REQUEST || header[4..8] != MAGIC_COOKIE {
        return None;
    }
    loop {
        let (head, rest) = attributes.split_at_checked(4)?;
        let kind = u16::from_be_bytes([head[0], head[1]]);
        let len = usize::from(u16::from_be_bytes([head[2], head[3]]));
        if kind == USERNAME {
            let name = std::str::from_utf8(rest.get(..len)?).ok()?;
            return name.split_once(':').map(|(receiver, _)| receiver);
        }
        attributes = rest.get(len.next_multiple_of(4)..)?;
    }
}

/// A binding request with nothing but a USERNAME.
#[cfg(test)]
pub(super) fn request(username: &str) -> Vec<u8> {
    let mut bytes = [BINDING_REQUEST.as_slice(), &[0, 0], &MAGIC_COOKIE, &[7; 12]].concat();
    bytes.extend([0x80, 0x22, 0, 1, b'x', 0, 0, 0]);
    bytes.extend(USERNAME.to_be_bytes());
    bytes.extend(u16::try_from(username.len()).unwrap().to_be_bytes());
    bytes.extend(username.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_receivers_half_of_the_user_name_is_found() {
        assert_eq!(addressee(&request("ours:theirs")), Some("ours"));
        assert_eq!(addressee(&request("nocolon")), None);
        let mut response = request("ours:theirs");
        response[0] = 1;
        assert_eq!(addressee(&response), None, "responses carry no name that means us");
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100), cut in 0_usize..60) {
            addressee(&bytes);
            let request = request("ours:theirs");
            addressee(&request[..cut.min(request.len())]);
        }
    }
}
