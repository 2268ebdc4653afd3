//! Finding record borders in a byte stream.

use crate::error::Error;
use crate::suite::Cipher;
use crate::wire::{
    ContentType, HEADER_LEN, Header, MAX_PLAINTEXT, TAG_LEN, TLS12, TLS13, WireRecord,
};

/// The lengths and headers that a record may have: by the kernel's rules, or by the RFCs'.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Framing {
    max: usize,
    min: usize,
    /// Bytes that must be there before the header is judged.
    judged: usize,
    check_version: bool,
    /// The only outer type, if it is checked: 23 in TLS 1.3 by the RFC.
    outer: Option<ContentType>,
}

impl Framing {
    /// Returns the rules of the kernel's stream parser (`docs/kernel-rules.md`, S3.1).
    #[must_use]
    pub const fn kernel(cipher: &Cipher, version: u16) -> Self {
        let explicit = cipher.explicit(version);
        Self {
            max: MAX_PLAINTEXT + TAG_LEN + explicit + (version == TLS13) as usize,
            min: TAG_LEN + explicit,
            judged: HEADER_LEN + explicit,
            check_version: true,
            outer: None,
        }
    }

    /// Returns the rules of RFC 8446 §5.2, and of RFC 5246 §6.2.3 for TLS 1.2.
    #[must_use]
    pub const fn rfc(cipher: &Cipher, version: u16) -> Self {
        let explicit = cipher.explicit(version);
        if version == TLS13 {
            let outer = Some(ContentType::APPLICATION_DATA);
            let max = MAX_PLAINTEXT + 256;
            return Self {
                max,
                min: TAG_LEN,
                judged: HEADER_LEN,
                check_version: false,
                outer,
            };
        }
        Self {
            max: MAX_PLAINTEXT + 2048,
            min: TAG_LEN + explicit,
            judged: HEADER_LEN,
            check_version: true,
            outer: None,
        }
    }

    /// Returns the record at the start of `wire`, or `None` while it is not whole.
    ///
    /// # Errors
    /// The checks are in the kernel's order: [`Error::UnexpectedRecord`] (RFC only),
    /// [`Error::RecordTooLong`], [`Error::RecordTooShort`], [`Error::BadRecordVersion`].
    #[inline]
    pub fn deframe<'a>(&self, wire: &'a [u8]) -> Result<Option<WireRecord<'a>>, Error> {
        let Some(header) = self.announced(wire)? else {
            return Ok(None);
        };
        let (len, inner_len) = (HEADER_LEN + header.len, header.len - self.min);
        Ok(WireRecord::new(wire, len, inner_len))
    }

    /// Returns the header at the start of `wire`, although the rest of the record may still be
    /// missing. Returns `None` while too few bytes are there to judge it.
    ///
    /// # Errors
    /// Returns the errors of [`Framing::deframe`].
    #[inline]
    pub fn announced(&self, wire: &[u8]) -> Result<Option<Header>, Error> {
        let Some(header) = Header::read(wire).filter(|_| wire.len() >= self.judged) else {
            return Ok(None);
        };
        self.check(header)?;
        Ok(Some(header))
    }

    #[inline]
    fn check(&self, header: Header) -> Result<(), Error> {
        let Header {
            opaque_type,
            version,
            len,
        } = header;
        if self.outer.is_some_and(|outer| outer.0 != opaque_type) {
            return Err(Error::UnexpectedRecord {
                record_type: opaque_type,
            });
        }
        if len > self.max {
            return Err(Error::RecordTooLong { len, max: self.max });
        }
        if len < self.min {
            return Err(Error::RecordTooShort { len, min: self.min });
        }
        if self.check_version && version != TLS12 {
            return Err(Error::BadRecordVersion { version });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(version: u16) -> Framing {
        Framing::kernel(Cipher::by_type(51).unwrap(), version)
    }

    #[test]
    fn the_kernel_judges_length_first_then_version() {
        // docs/kernel-rules.md, S3.1-1 to S3.1-3; 16401 is the limit of 1.3, 16408 that of 1.2
        for (version, bytes, want) in [
            (
                TLS13,
                [0x55; 5],
                Error::RecordTooLong {
                    len: 0x5555,
                    max: 16401,
                },
            ),
            (
                TLS13,
                [23, 3, 3, 0x40, 0x12],
                Error::RecordTooLong {
                    len: 16402,
                    max: 16401,
                },
            ),
            (
                TLS13,
                [20, 3, 3, 0, 1],
                Error::RecordTooShort { len: 1, min: 16 },
            ),
            (
                TLS13,
                [23, 3, 1, 0, 16],
                Error::BadRecordVersion { version: 0x0301 },
            ),
        ] {
            assert_eq!(framing(version).deframe(&bytes), Err(want), "{bytes:02x?}");
        }
    }

    #[test]
    fn tls12_is_judged_once_the_explicit_nonce_is_there() {
        let mut wire = vec![23, 3, 3, 0, 23];
        assert_eq!(framing(TLS12).deframe(&wire), Ok(None));
        wire.extend_from_slice(&[0; 8]);
        let want = Error::RecordTooShort { len: 23, min: 24 };
        assert_eq!(framing(TLS12).deframe(&wire), Err(want));
    }

    #[test]
    fn a_record_is_whole_once_its_last_byte_arrived() {
        let mut wire = vec![23, 3, 3, 0, 17];
        for _ in 0..17 {
            assert_eq!(framing(TLS13).deframe(&wire), Ok(None));
            wire.push(0);
        }
        wire.push(9);
        let record = framing(TLS13).deframe(&wire).unwrap().unwrap();
        let header = Header {
            opaque_type: 23,
            version: TLS12,
            len: 17,
        };
        assert_eq!((record.bytes(), record.rest()), (&wire[..22], &[9][..]));
        assert_eq!((record.header(), record.inner_len()), (header, 1));
    }

    #[test]
    fn the_rfc_allows_padding_and_wants_outer_type_23() {
        let rfc = Framing::rfc(Cipher::by_type(51).unwrap(), TLS13);
        assert_eq!(rfc.deframe(&[23, 3, 1, 0x41, 0]), Ok(None));
        assert!(matches!(
            rfc.deframe(&[23, 3, 3, 0x41, 1]),
            Err(Error::RecordTooLong { .. })
        ));
        let want = Error::UnexpectedRecord { record_type: 20 };
        assert_eq!(rfc.deframe(&[20, 3, 3, 0, 1]), Err(want));
    }
}
