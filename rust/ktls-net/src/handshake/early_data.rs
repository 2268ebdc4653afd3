//! Early data that a client sends although this server accepts none (RFC 8446 §4.2.10).
//!
//! Such a client has a ticket of another server, or one from before a change of the configuration.
//! Its early data comes between its ClientHello and the rest of its handshake, is sealed under a
//! key that we do not have, and must be skipped. A record is early data if the handshake key does
//! not open it or, after a HelloRetryRequest, if it comes before the second ClientHello. rustls
//! would skip early data too, but does not report that it has consumed such a record: it finds the
//! record again with the next bytes and counts it once more each time.

use ktls_core::Opener;
use ktls_core::wire::{CLIENT_HELLO, ContentType, HEADER_LEN};

use super::MAX_HANDSHAKE;

/// Whether the client's sealed records may be early data.
pub(super) enum EarlyData {
    /// The first ClientHello is not complete. Holds its bytes so far.
    Unknown(Vec<u8>),
    /// The client has offered early data.
    Skipping {
        /// The number of bytes that may still be skipped.
        left: usize,
        /// Opens records under the handshake key, once there is one.
        opener: Option<Box<Opener>>,
    },
    /// No early data was offered, or its end has been reached.
    Over,
}

/// Facts from a ClientHello.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ClientHello {
    /// The newest version that the client supports, if that is TLS 1.2 or older (RFC 5246
    /// §7.4.1.2).
    pub(super) legacy_version: u16,
    /// Whether there is a supported_versions extension, so that the client supports TLS 1.3.
    pub(super) has_versions: bool,
    /// Whether the client offers no session, and lacks an extension that a key exchange with a
    /// certificate needs (RFC 8446 §9.2).
    pub(super) lacks_extensions: bool,
    /// Whether the client offers early data.
    early_data: bool,
}

/// The kind of a sealed record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum SiftedRecord {
    /// Early data, to be discarded.
    EarlyData,
    /// Early data beyond the limit of what is skipped.
    TooMuch,
    /// Part of the handshake.
    Handshake,
}

/// The most bytes of early data that are skipped: among others, what OpenSSL's tickets allow by
/// default.
pub(super) const MAX_SKIPPED: usize = 16384;
/// Content type and tag of a record, which do not count as data.
const OVERHEAD: usize = 17;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;
const SUPPORTED_GROUPS: u16 = 10;
const SIGNATURE_ALGORITHMS: u16 = 13;
const PRE_SHARED_KEY: u16 = 41;
const KEY_SHARE: u16 = 51;

impl EarlyData {
    /// The state of a server that waits for a ClientHello.
    pub(super) const fn awaiting_hello() -> Self {
        Self::Unknown(Vec::new())
    }

    /// Returns `true` if the record with this header has to be checked as a whole by
    /// [`EarlyData::sift`].
    pub(super) const fn is_to_be_sifted(&self, header: [u8; HEADER_LEN]) -> bool {
        matches!(self, Self::Skipping { .. }) && header[0] == ContentType::APPLICATION_DATA.0
    }

    /// Reads a plaintext handshake record. Returns the first ClientHello if this record completes
    /// it.
    pub(super) fn read_plaintext(&mut self, fragment: &[u8]) -> Option<ClientHello> {
        let Self::Unknown(message) = self else {
            // This is the second ClientHello: early data comes before it.
            *self = Self::Over;
            return None;
        };
        message.extend_from_slice(fragment);
        let hello = match client_hello(message) {
            ParsedHello::Incomplete if message.len() < MAX_HANDSHAKE => return None,
            ParsedHello::Hello(hello) => Some(hello),
            _ => None,
        };
        *self = match hello {
            Some(hello) if hello.early_data => Self::Skipping {
                left: MAX_SKIPPED,
                opener: None,
            },
            _ => Self::Over,
        };
        hello
    }

    /// Decides what a sealed record is. `make_opener` returns an opener with the handshake key, if
    /// there is a key.
    pub(super) fn sift(
        &mut self,
        record: &[u8],
        make_opener: impl FnOnce() -> Option<Opener>,
    ) -> SiftedRecord {
        let Self::Skipping { left, opener } = self else {
            return SiftedRecord::Handshake;
        };
        if opener.is_none() {
            *opener = make_opener().map(Box::new);
        }
        if opener.as_mut().is_some_and(|opener| opens(opener, record)) {
            *self = Self::Over;
            return SiftedRecord::Handshake;
        }
        // An empty record counts as well, so that their number is bounded.
        let cost = record.len().saturating_sub(HEADER_LEN + OVERHEAD).max(1);
        match left.checked_sub(cost) {
            Some(rest) => {
                *left = rest;
                SiftedRecord::EarlyData
            }
            None => SiftedRecord::TooMuch,
        }
    }
}

/// Returns `true` if `opener` opens `record`. The plaintext is discarded: rustls will open the
/// record again.
fn opens(opener: &mut Opener, record: &[u8]) -> bool {
    let mut plaintext = zeroize::Zeroizing::new(vec![0; record.len()]);
    opener.open(record, &mut plaintext).is_ok()
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ParsedHello {
    Incomplete,
    Hello(ClientHello),
    /// rustls will report what is wrong with it.
    Malformed,
}

fn client_hello(message: &[u8]) -> ParsedHello {
    let &[message_type, high, middle, low, ref rest @ ..] = message else {
        return ParsedHello::Incomplete;
    };
    let len = u32::from_be_bytes([0, high, middle, low]) as usize;
    if message_type != CLIENT_HELLO {
        return ParsedHello::Malformed;
    }
    let Some(body) = rest.get(..len) else {
        return ParsedHello::Incomplete;
    };
    parse_body(body).map_or(ParsedHello::Malformed, ParsedHello::Hello)
}

fn parse_body(body: &[u8]) -> Option<ClientHello> {
    let legacy_version = u16::from_be_bytes(*body.first_chunk()?);
    let extensions: Vec<u16> = extensions(body)?.collect();
    let has_all = [SUPPORTED_GROUPS, SIGNATURE_ALGORITHMS, KEY_SHARE]
        .iter()
        .all(|needed| extensions.contains(needed));
    Some(ClientHello {
        legacy_version,
        has_versions: extensions.contains(&SUPPORTED_VERSIONS),
        lacks_extensions: !has_all && !extensions.contains(&PRE_SHARED_KEY),
        early_data: extensions.contains(&EARLY_DATA),
    })
}

/// Returns the numbers of a ClientHello's extensions (RFC 8446 §4.1.2).
fn extensions(body: &[u8]) -> Option<impl Iterator<Item = u16>> {
    let mut rest = VectorReader(body.get(2 + 32..)?);
    rest.read_vector(1)?; // legacy_session_id
    rest.read_vector(2)?; // cipher_suites
    rest.read_vector(1)?; // legacy_compression_methods
    // Before TLS 1.3, the list of extensions and its length may be missing.
    let mut list = VectorReader(if rest.0.is_empty() {
        &[]
    } else {
        rest.read_vector(2)?
    });
    Some(std::iter::from_fn(move || {
        let number = list.read_number(2)?;
        list.read_vector(2)?;
        u16::try_from(number).ok()
    }))
}

/// Reads numbers and vectors from the front of a byte slice.
pub(super) struct VectorReader<'a>(pub(super) &'a [u8]);

impl<'a> VectorReader<'a> {
    /// Reads a number of `size` bytes.
    pub(super) fn read_number(&mut self, size: usize) -> Option<usize> {
        let (number, rest) = self.0.split_at_checked(size)?;
        self.0 = rest;
        Some(
            number
                .iter()
                .fold(0, |sum, &byte| sum << 8 | usize::from(byte)),
        )
    }

    /// Reads a vector whose length is a number of `size` bytes.
    pub(super) fn read_vector(&mut self, size: usize) -> Option<&'a [u8]> {
        let len = self.read_number(size)?;
        let (vector, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(vector)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(extensions: &[(u16, &[u8])]) -> Vec<u8> {
        let mut list = Vec::new();
        for (number, body) in extensions {
            list.extend(number.to_be_bytes());
            list.extend((body.len() as u16).to_be_bytes());
            list.extend(*body);
        }
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0]);
        body.extend((list.len() as u16).to_be_bytes());
        body.extend(list);
        [&[1, 0, 0, body.len() as u8], &body[..]].concat()
    }

    fn after(fragments: &[&[u8]]) -> EarlyData {
        let mut early_data = EarlyData::awaiting_hello();
        for fragment in fragments {
            early_data.read_plaintext(fragment);
        }
        early_data
    }

    #[test]
    fn early_data_is_expected_if_the_client_hello_offers_it_however_it_is_cut() {
        let hello = hello(&[(43, &[2, 3, 4]), (42, &[]), (41, &[0; 40])]);
        for cut in 0..hello.len() {
            let early_data = after(&[&hello[..cut], &hello[cut..]]);
            assert!(
                matches!(early_data, EarlyData::Skipping { .. }),
                "cut at {cut}"
            );
            assert!(matches!(after(&[&hello[..cut]]), EarlyData::Unknown(_)));
        }
    }

    #[test]
    fn no_early_data_is_expected_of_other_messages() {
        let mut server_hello = hello(&[(42, &[])]);
        server_hello[0] = 2;
        let mut cut_list = hello(&[(42, &[])]);
        cut_list[46] += 1;
        for message in [
            hello(&[(43, &[2, 3, 4]), (41, &[42; 40])]),
            server_hello,
            cut_list,
        ] {
            assert!(matches!(after(&[&message]), EarlyData::Over), "{message:?}");
        }
    }

    #[test]
    fn sixteen_kibibytes_are_skipped_and_not_a_byte_more() {
        for size in [1, 100, MAX_SKIPPED] {
            let mut early_data = after(&[&hello(&[(42, &[])])]);
            let record = vec![23; HEADER_LEN + OVERHEAD + size];
            for _ in 0..MAX_SKIPPED / size {
                assert_eq!(
                    early_data.sift(&record, || None),
                    SiftedRecord::EarlyData,
                    "{size}"
                );
            }
            let rest = vec![23; HEADER_LEN + OVERHEAD + MAX_SKIPPED % size];
            if !MAX_SKIPPED.is_multiple_of(size) {
                assert_eq!(
                    early_data.sift(&rest, || None),
                    SiftedRecord::EarlyData,
                    "{size}"
                );
            }
            let short = vec![23; HEADER_LEN + OVERHEAD];
            assert_eq!(
                early_data.sift(&short, || None),
                SiftedRecord::TooMuch,
                "{size}"
            );
        }
    }

    #[test]
    fn a_second_client_hello_ends_it() {
        let mut early_data = after(&[&hello(&[(42, &[])])]);
        early_data.read_plaintext(&hello(&[]));
        assert_eq!(early_data.sift(&[23; 40], || None), SiftedRecord::Handshake);
    }
}
