//! Finds KeyUpdates in handshake plaintext (RFC 8446 §4.6.3, §5.1).

use crate::wire::{ContentType, KEY_UPDATE, MESSAGE_HEADER_LEN};

/// A KeyUpdate that was found, or its violation of the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FoundKeyUpdate {
    /// The index of the record in which the message ends. The scanner's first record has index 0.
    pub record: u64,
    /// Whether the peer requests a KeyUpdate in return.
    pub update_requested: bool,
    /// The violation of the protocol, if there is one.
    pub fault: Option<KeyUpdateFault>,
}

/// How a KeyUpdate violates the protocol.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyUpdateFault {
    /// Handshake bytes follow it in its record: the key would not change at a record boundary.
    DataAfter,
    /// A record of another content type arrived inside the message.
    Interleaved,
    /// Its length is not 1.
    BadLength,
    /// Its `request_update` is neither 0 nor 1.
    BadValue,
}

impl KeyUpdateFault {
    /// Returns the name that Python uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DataAfter => "data_after",
            Self::Interleaved => "interleaved",
            Self::BadLength => "bad_length",
            Self::BadValue => "bad_value",
        }
    }
}

/// Scans the handshake messages of one direction record by record. It stores at most five bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct KeyUpdateScanner {
    /// The number of records scanned.
    records: u64,
    /// The bytes of the message header so far, followed by the `request_update` of a KeyUpdate.
    header: [u8; 5],
    filled: usize,
    /// The number of bytes of a message body that are still to be skipped.
    skip: usize,
}

impl KeyUpdateScanner {
    /// Scans the next record, and calls `found` for each KeyUpdate.
    pub fn feed(
        &mut self,
        record_type: u8,
        plaintext: &[u8],
        mut found: impl FnMut(FoundKeyUpdate),
    ) {
        let record = self.records;
        self.records += 1;
        if record_type != ContentType::HANDSHAKE.0 {
            self.report_interruption(record, &mut found);
            return;
        }
        let mut rest = plaintext;
        while !rest.is_empty() {
            rest = self.scan_part(rest, record, &mut found);
        }
    }

    /// Returns `true` if no message is incomplete.
    #[must_use]
    pub const fn at_boundary(&self) -> bool {
        self.filled == 0 && self.skip == 0
    }

    /// Scans bytes of the current message at the start of `bytes`, and returns the rest.
    fn scan_part<'a>(
        &mut self,
        bytes: &'a [u8],
        record: u64,
        found: &mut impl FnMut(FoundKeyUpdate),
    ) -> &'a [u8] {
        if self.skip > 0 {
            let step = self.skip.min(bytes.len());
            self.skip -= step;
            return &bytes[step..];
        }
        self.header[self.filled] = bytes[0];
        self.filled += 1;
        let rest = &bytes[1..];
        if self.filled >= MESSAGE_HEADER_LEN {
            self.finish_header(rest, record, found);
        }
        rest
    }

    /// Handles a complete message header: skips an ordinary message, waits for the byte of a
    /// KeyUpdate, or reports the KeyUpdate.
    fn finish_header(&mut self, rest: &[u8], record: u64, found: &mut impl FnMut(FoundKeyUpdate)) {
        let [message_type, a, b, c, value] = self.header;
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        let fault = if message_type != KEY_UPDATE {
            None
        } else if len != 1 {
            Some(KeyUpdateFault::BadLength)
        } else if self.filled == MESSAGE_HEADER_LEN {
            return;
        } else {
            let fault = (value > 1).then_some(KeyUpdateFault::BadValue);
            let fault = fault.or((!rest.is_empty()).then_some(KeyUpdateFault::DataAfter));
            found(FoundKeyUpdate {
                record,
                update_requested: value == 1,
                fault,
            });
            self.filled = 0;
            return;
        };
        self.filled = 0;
        self.skip = len;
        if fault.is_some() {
            found(FoundKeyUpdate {
                record,
                update_requested: false,
                fault,
            });
        }
    }

    fn report_interruption(&mut self, record: u64, found: &mut impl FnMut(FoundKeyUpdate)) {
        if self.filled > 0 && self.header[0] == KEY_UPDATE {
            found(FoundKeyUpdate {
                record,
                update_requested: false,
                fault: Some(KeyUpdateFault::Interleaved),
            });
            self.filled = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HANDSHAKE: u8 = 22;
    const TICKET: [u8; 7] = [4, 0, 0, 3, 24, 0, 0];

    fn scan(records: &[&[u8]]) -> Vec<FoundKeyUpdate> {
        let (mut scanner, mut all) = (KeyUpdateScanner::default(), Vec::new());
        for record in records {
            scanner.feed(HANDSHAKE, record, |found| all.push(found));
        }
        all
    }

    fn key_update(record: u64, update_requested: bool) -> FoundKeyUpdate {
        FoundKeyUpdate {
            record,
            update_requested,
            fault: None,
        }
    }

    #[test]
    fn key_updates_are_found_whole_coalesced_and_cut_anywhere() {
        let joined = [&TICKET[..], &[24, 0, 0, 1, 1]].concat();
        assert_eq!(scan(&[&joined]), [key_update(0, true)]);
        for cut in 0..joined.len() {
            let (a, b) = joined.split_at(cut);
            assert_eq!(scan(&[a, b]), [key_update(1, true)], "cut at {cut}");
        }
        let single: Vec<&[u8]> = joined.chunks(1).collect();
        assert_eq!(scan(&single), [key_update(11, true)]);
    }

    #[test]
    fn a_body_that_looks_like_a_key_update_is_not_one() {
        assert_eq!(scan(&[&TICKET[..4], &TICKET[4..]]), []);
    }

    #[test]
    fn every_fault_has_its_name() {
        for (bytes, fault) in [
            (&[24, 0, 0, 1, 0, 0][..], KeyUpdateFault::DataAfter),
            (&[24, 0, 0, 2, 0, 0], KeyUpdateFault::BadLength),
            (&[24, 0, 0, 0], KeyUpdateFault::BadLength),
            (&[24, 0, 0, 1, 2], KeyUpdateFault::BadValue),
        ] {
            assert_eq!(scan(&[bytes])[0].fault, Some(fault), "{bytes:?}");
        }
        let mut scanner = KeyUpdateScanner::default();
        let mut all = Vec::new();
        scanner.feed(HANDSHAKE, &[24, 0], |found| all.push(found));
        assert!(!scanner.at_boundary());
        scanner.feed(23, b"data", |found| all.push(found));
        assert_eq!(all[0].fault, Some(KeyUpdateFault::Interleaved));
        assert!(scanner.at_boundary());
    }
}
