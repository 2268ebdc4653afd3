//! The format of TLS records: headers, content types and message types (RFC 8446 §5.1).

/// The length of a record header in bytes.
pub const HEADER_LEN: usize = 5;
/// The length of the tag in bytes, for every cipher.
pub const TAG_LEN: usize = 16;
/// The most bytes of plaintext in one record.
pub const MAX_PLAINTEXT: usize = 1 << 14;
/// The value of `legacy_record_version`, and the version number of TLS 1.2.
pub const TLS12: u16 = 0x0303;
/// The version number of TLS 1.3.
pub const TLS13: u16 = 0x0304;
/// The length of the header of a handshake message in bytes: type and length (RFC 8446 §4).
pub const MESSAGE_HEADER_LEN: usize = 4;
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

/// The content type of a record (RFC 8446 §5.1). Not an enum, since the kernel accepts every byte.
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
    /// The outer content type. TLS 1.2: the real one. TLS 1.3: 23.
    pub opaque_type: u8,
    /// The value of `legacy_record_version`: 0x0303.
    pub version: u16,
    /// The number of bytes that follow the header.
    pub len: usize,
}

impl Header {
    /// Reads the header at the start of `wire`. Returns `None` if `wire` has fewer than five bytes.
    #[must_use]
    #[inline]
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

    /// Returns the bytes of the header.
    #[must_use]
    pub fn to_bytes(self) -> [u8; HEADER_LEN] {
        let [major, minor] = self.version.to_be_bytes();
        // Cannot truncate: a header is made only for lengths of at most 2^14 + 256 bytes.
        let [high, low] = (self.len as u16).to_be_bytes();
        [self.opaque_type, major, minor, high, low]
    }
}

/// A whole record at the start of a buffer, whose header was judged.
///
/// Functions that open a record take this token instead of bytes, so that a header is parsed and
/// judged once. [`Framing::deframe`](crate::record::Framing::deframe) returns it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WireRecord<'a> {
    /// The record, and everything behind it.
    wire: &'a [u8],
    len: usize,
    inner_len: usize,
}

impl<'a> WireRecord<'a> {
    /// Makes the token of a record of `len` bytes, at least a header, at the start of `wire`.
    ///
    /// Returns `None` if the record is not whole.
    #[inline]
    pub(crate) const fn new(wire: &'a [u8], len: usize, inner_len: usize) -> Option<Self> {
        if len < HEADER_LEN || len > wire.len() {
            return None;
        }
        Some(Self {
            wire,
            len,
            inner_len,
        })
    }

    /// Returns the length of the record in bytes, header included.
    #[must_use]
    #[inline]
    pub const fn wire_len(&self) -> usize {
        self.len
    }

    /// Returns the bytes of the record, header included.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &'a [u8] {
        &self.wire[..self.len]
    }

    /// Returns the bytes of the buffer behind the record.
    #[must_use]
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.wire[self.len..]
    }

    /// Returns the bytes of the record and those behind it.
    pub(crate) const fn wire(&self) -> &'a [u8] {
        self.wire
    }

    /// Returns the header.
    #[must_use]
    #[inline]
    pub const fn header(&self) -> Header {
        Header {
            opaque_type: self.wire[0],
            version: u16::from_be_bytes([self.wire[1], self.wire[2]]),
            len: self.len - HEADER_LEN,
        }
    }

    /// Returns the length of the inner plaintext, type and padding included, in bytes.
    #[must_use]
    #[inline]
    pub const fn inner_len(&self) -> usize {
        self.inner_len
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
