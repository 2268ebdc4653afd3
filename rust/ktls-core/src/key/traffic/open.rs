//! Opening one record under a traffic key (`docs/kernel-rules.md`, S3.2).

use super::TrafficKey;
use crate::aead::OpenJob;
use crate::error::Error;
use crate::wire::WireRecord;

/// The plaintext of an opened record: its content type, and its length in `out`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InnerPlaintext {
    /// The content type. TLS 1.3: the inner one.
    pub record_type: u8,
    /// The length of the plaintext without padding and type, in bytes.
    pub len: usize,
    /// The length of the inner plaintext in bytes. TLS 1.3: with type and padding.
    pub inner_len: usize,
}

impl TrafficKey {
    /// Opens the record in `record` into the start of `out`. The length of `record` is the record's
    /// length.
    ///
    /// `out` must have room for the inner plaintext: see [`TrafficKey::inner_len`].
    ///
    /// # Errors
    /// Returns the errors of [`TrafficKey::open_record`], and [`Error::RecordTooShort`] if `record`
    /// is shorter than every record of this key.
    pub fn open(&self, seq: u64, record: &[u8], out: &mut [u8]) -> Result<InnerPlaintext, Error> {
        self.open_record(seq, self.record(record, record.len())?, out)
    }

    /// Makes the token of the record of `len` bytes at the start of `wire`, whose header was judged
    /// before.
    ///
    /// # Errors
    /// [`Error::RecordTooShort`] if `len` is less than the length of every record of this key, or
    /// if fewer bytes are there.
    pub(crate) fn record<'a>(&self, wire: &'a [u8], len: usize) -> Result<WireRecord<'a>, Error> {
        let inner_len = self.inner_len(len)?;
        WireRecord::new(wire, len, inner_len).ok_or_else(|| self.too_short(wire.len()))
    }

    /// Opens a deframed record into the start of `out`.
    ///
    /// # Errors
    /// - [`Error::NoRoom`] if `out` is shorter than the inner plaintext.
    /// - [`Error::BadTag`] if the record does not authenticate; no plaintext is left in `out`.
    /// - [`Error::NoContentType`] if the inner plaintext is all padding.
    /// - [`Error::RecordTooShort`] if it was deframed by the rules for another cipher.
    #[inline]
    pub fn open_record(
        &self,
        seq: u64,
        record: WireRecord<'_>,
        out: &mut [u8],
    ) -> Result<InnerPlaintext, Error> {
        let inner = self.open_inner(seq, record, out)?;
        self.strip(record.header().opaque_type, inner)
    }

    /// Opens a deframed record into the start of `out`; returns its inner plaintext, type and
    /// padding included.
    ///
    /// # Errors
    /// Returns the errors of [`TrafficKey::open_record`] except for [`Error::NoContentType`].
    #[inline]
    pub(crate) fn open_inner<'a>(
        &self,
        seq: u64,
        record: WireRecord<'_>,
        out: &'a mut [u8],
    ) -> Result<&'a [u8], Error> {
        let (need, have) = (record.inner_len(), out.len());
        let out = out.get_mut(..need).ok_or(Error::NoRoom { need, have })?;
        let mut job = OpenJob::empty();
        self.fill_open_job(&mut job, seq, record.bytes(), out)?;
        self.aead.open(job)?;
        Ok(out)
    }

    /// Fills in everything that the AEAD needs to open the bytes of `record` into `out`.
    ///
    /// `job` is written field by field, as in [`TrafficKey::fill_seal_job`], which avoids a failed
    /// store forwarding.
    ///
    /// # Errors
    /// [`Error::RecordTooShort`] if `record` is shorter than every record of this key.
    #[inline(always)]
    pub(crate) fn fill_open_job<'a>(
        &self,
        job: &mut OpenJob<'a>,
        seq: u64,
        record: &'a [u8],
        out: &'a mut [u8],
    ) -> Result<(), Error> {
        let split = record.split_at_checked(self.prepend());
        let split = split.and_then(|(head, rest)| Some((head, rest.split_last_chunk()?)));
        let Some((head, (ciphertext, tag))) = split else {
            return Err(self.too_short(record.len()));
        };
        job.tag = tag;
        (job.nonce, job.aad) = self.nonce_and_aad(seq, head, ciphertext.len());
        (job.ciphertext, job.out) = (ciphertext, out);
        Ok(())
    }

    /// Removes type and padding from an inner plaintext (RFC 8446 §5.4). `opaque_type` is the outer
    /// content type, which is the only one in TLS 1.2.
    ///
    /// # Errors
    /// [`Error::NoContentType`] if the inner plaintext of a TLS 1.3 record is all padding.
    pub fn strip(&self, opaque_type: u8, inner: &[u8]) -> Result<InnerPlaintext, Error> {
        let inner_len = inner.len();
        if self.is_tls12() {
            return Ok(InnerPlaintext {
                record_type: opaque_type,
                len: inner_len,
                inner_len,
            });
        }
        let len = inner
            .iter()
            .rposition(|&byte| byte != 0)
            .ok_or(Error::NoContentType)?;
        Ok(InnerPlaintext {
            record_type: inner[len],
            len,
            inner_len,
        })
    }
}
