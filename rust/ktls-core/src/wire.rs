//! What lies on the wire: record headers and content types (RFC 8446 §5.1).

/// Bytes of a record header.
pub const HEADER_LEN: usize = 5;
/// Bytes of the tag, for every cipher.
pub const TAG_LEN: usize = 16;
/// Most plaintext that one record carries.
pub const MAX_PLAINTEXT: usize = 1 << 14;
/// `legacy_record_version`, and TLS 1.2's own number.
pub const TLS12: u16 = 0x0303;
/// TLS 1.3's number.
pub const TLS13: u16 = 0x0304;
/// The handshake message type of a HelloRequest (RFC 5246 §7.4.1.1).
pub const HELLO_REQUEST: u8 = 0;
/// The handshake message type of a ClientHello (RFC 8446 §4.1.2).
pub const CLIENT_HELLO: u8 = 1;
/// The handshake message type of a NewSessionTicket (RFC 8446 §4.6.1).
pub const NEW_SESSION_TICKET: u8 = 4;
/// The handshake message type of a Finished (RFC 8446 §4.4.4).
pub const FINISHED: u8 = 20;
/// The handshake message type of a KeyUpdate (RFC 8446 §4.6.3).
pub const KEY_UPDATE: u8 = 24;
/// The level of an alert after which the connection may go on (RFC 8446 §6).
pub const ALERT_WARNING: u8 = 1;
/// The level of an alert that ends the connection (RFC 8446 §6).
pub const ALERT_FATAL: u8 = 2;

/// What a record carries (RFC 8446 §5.1). Not an enum: the kernel passes every byte through.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ContentType(pub u8);

impl ContentType {
    /// `change_cipher_spec`
    pub const CHANGE_CIPHER_SPEC: Self = Self(20);
    /// `alert`
    pub const ALERT: Self = Self(21);
    /// `handshake`
    pub const HANDSHAKE: Self = Self(22);
    /// `application_data`
    pub const APPLICATION_DATA: Self = Self(23);
}

/// The five bytes in front of every record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// The outer content type: the real one in TLS 1.2, 23 in TLS 1.3.
    pub opaque_type: u8,
    /// `legacy_record_version`, 0x0303.
    pub version: u16,
    /// Bytes that follow.
    pub len: usize,
}

impl Header {
    /// Reads the header at the start of `wire`, if all of it is there.
    #[must_use]
    pub fn read(wire: &[u8]) -> Option<Self> {
        let &[opaque_type, major, minor, high, low, ..] = wire else {
            return None;
        };
        Some(Self {
            opaque_type,
            version: u16::from_be_bytes([major, minor]),
            len: usize::from(u16::from_be_bytes([high, low])),
        })
    }

    /// The bytes as they stand on the wire.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [major, minor] = self.version.to_be_bytes();
        // A record's length was checked to be at most 2^14 + 256 before a header is made.
        let [high, low] = (self.len as u16).to_be_bytes();
        [self.opaque_type, major, minor, high, low]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_a_cut_one_does_not() {
        let header = Header {
            opaque_type: 23,
            version: TLS12,
            len: 16401,
        };
        let bytes = header.to_bytes();
        assert_eq!(bytes, [23, 3, 3, 0x40, 0x11]);
        assert_eq!(Header::read(&bytes), Some(header));
        for cut in 0..HEADER_LEN {
            assert_eq!(Header::read(&bytes[..cut]), None);
        }
    }
}
