//! Sealing and opening one record under a traffic key (`docs/kernel-rules.md`, S2.1 and S3.2).

use std::fmt;

use crate::aead::{Aad, Interleaved, NonceBytes, OpenJob, Provider, RecordKey, SealJob};
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::wire::{
    ContentType, HEADER_LEN, Header, MAX_PLAINTEXT, TAG_LEN, TLS12, TLS13, WireRecord,
};

/// An expanded traffic key with its iv. It does not track record numbers.
pub struct TrafficKey {
    info: CryptoInfo,
    aead: Box<dyn RecordKey>,
    tls12: bool,
    /// The values of `cipher.explicit` and `cipher.overhead` for this version, looked up once.
    explicit: usize,
    overhead: usize,
}

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
    /// Expands the key of `info`.
    ///
    /// # Errors
    /// Returns [`Error::CipherMissing`] if `provider` has no implementation of the cipher.
    pub fn new(info: CryptoInfo, provider: &dyn Provider) -> Result<Self, Error> {
        let (cipher, version) = (info.cipher(), info.version());
        Ok(Self {
            aead: provider.record_key(cipher.algorithm, info.key())?,
            tls12: version != TLS13,
            explicit: cipher.explicit(version),
            overhead: cipher.overhead(version),
            info,
        })
    }

    /// Returns the key as it was installed, with its first record number.
    #[must_use]
    pub const fn info(&self) -> &CryptoInfo {
        &self.info
    }

    /// Returns the key as `getsockopt` reports it if `seq` is the next number: with the current iv
    /// and rec_seq (`docs/kernel-rules.md`, S1.5-3).
    #[must_use]
    pub fn live_info(&self, seq: u64) -> CryptoInfo {
        let mut live = self.info.clone();
        live.rec_seq = seq;
        if self.explicit == 0 {
            return live;
        }
        let salt = self.info.salt();
        CryptoInfo::new(
            self.info.version(),
            self.info.cipher().cipher_type,
            &self.explicit_nonce(seq),
            self.info.key(),
            salt,
            seq,
        )
        .unwrap_or(live)
    }

    /// Returns the number of bytes that a record is longer than its plaintext.
    #[must_use]
    pub const fn overhead(&self) -> usize {
        self.overhead
    }

    /// Returns the number of bytes in front of the ciphertext.
    #[must_use]
    pub const fn prepend(&self) -> usize {
        HEADER_LEN + self.explicit
    }

    /// Checks that `next` may follow this key (`docs/kernel-rules.md`, S1.4-3 and S1.4-4).
    ///
    /// # Errors
    /// - [`Error::NoRekeyIn12`] if this key is for TLS 1.2.
    /// - [`Error::RekeyMismatch`] if `next` has another version or cipher.
    pub fn check_rekey(&self, next: &CryptoInfo) -> Result<(), Error> {
        if self.is_tls12() {
            return Err(Error::NoRekeyIn12);
        }
        check_same("version", self.info.version(), next.version())?;
        check_same(
            "cipher",
            self.info.cipher().cipher_type,
            next.cipher().cipher_type,
        )
    }

    /// Seals one record into `out`.
    ///
    /// # Panics
    /// Panics if `out` is not exactly as long as the record, or `plaintext` is longer than 2^14
    /// bytes.
    pub fn seal(&self, seq: u64, record_type: u8, plaintext: &[u8], out: &mut [u8]) {
        self.aead
            .seal(self.seal_job(seq, record_type, plaintext, out));
    }

    /// Returns the key as [`Interleaved`] if it processes several records together faster than one
    /// after the other.
    pub(crate) fn interleaved(&self) -> Option<&dyn Interleaved> {
        self.aead.interleaved()
    }

    /// Writes the header and the explicit nonce of a record, and returns the job for the AEAD.
    ///
    /// # Panics
    /// Panics as [`TrafficKey::seal`] does.
    #[inline]
    fn seal_job<'a>(
        &self,
        seq: u64,
        record_type: u8,
        plaintext: &'a [u8],
        out: &'a mut [u8],
    ) -> SealJob<'a> {
        let mut job = SealJob::empty();
        self.set_job(&mut job, seq, record_type, plaintext, out);
        job
    }

    /// Writes the header and the explicit nonce of a record, and fills in `job`.
    ///
    /// The fields are stored one by one into the caller's job. Copying a whole job would load its
    /// fields with wider loads than they were stored with, which defeats store forwarding.
    ///
    /// # Panics
    /// Panics as [`TrafficKey::seal`] does.
    #[inline(always)]
    pub(crate) fn set_job<'a>(
        &self,
        job: &mut SealJob<'a>,
        seq: u64,
        record_type: u8,
        plaintext: &'a [u8],
        out: &'a mut [u8],
    ) {
        assert!(plaintext.len() <= MAX_PLAINTEXT && out.len() == plaintext.len() + self.overhead);
        if self.is_tls12() {
            return self.set_job12(job, seq, record_type, plaintext, out);
        }
        let header = outer_header(out.len() - HEADER_LEN);
        let (header_out, out) = out.split_at_mut(HEADER_LEN);
        header_out.copy_from_slice(&header);
        job.nonce = self.nonce_xor(seq);
        job.aad = Aad::header(header);
        job.plaintext = plaintext;
        job.inner_type = Some(record_type);
        job.out = out;
    }

    fn set_job12<'a>(
        &self,
        job: &mut SealJob<'a>,
        seq: u64,
        record_type: u8,
        plaintext: &'a [u8],
        out: &'a mut [u8],
    ) {
        let header = header12(record_type, out.len() - HEADER_LEN);
        let (header_out, out) = out.split_at_mut(HEADER_LEN);
        let (explicit_out, out) = out.split_at_mut(self.explicit);
        header_out.copy_from_slice(&header);
        // Not read back from the buffer: another thread may be writing to it.
        let explicit = &self.explicit_nonce(seq)[..self.explicit];
        explicit_out.copy_from_slice(explicit);
        job.nonce = self.nonce12(seq, explicit);
        job.aad = aad12(seq, record_type, plaintext.len());
        job.plaintext = plaintext;
        job.inner_type = None;
        job.out = out;
    }

    /// Opens the record in `record` into the start of `out`. The length of `record` is the record's
    /// length.
    ///
    /// `out` must have room for the inner plaintext: see [`TrafficKey::inner_len`].
    ///
    /// # Errors
    /// Returns the errors of [`TrafficKey::open_record`], and [`Error::RecordTooShort`] if `record` is
    /// shorter than every record of this key.
    pub fn open(&self, seq: u64, record: &[u8], out: &mut [u8]) -> Result<InnerPlaintext, Error> {
        self.open_record(seq, self.record(record, record.len())?, out)
    }

    /// Makes the token of the record of `len` bytes at the start of `wire`, whose header was judged before.
    ///
    /// # Errors
    /// [`Error::RecordTooShort`] if `len` is less than the length of every record of this key, or if fewer
    /// bytes are there.
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

    /// Opens a deframed record into the start of `out`; returns its inner plaintext, type and padding
    /// included.
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
        self.set_open_job(&mut job, seq, record.bytes(), out)?;
        self.aead.open(job)?;
        Ok(out)
    }

    /// Fills in everything that the AEAD needs to open the bytes of `record` into `out`.
    ///
    /// `job` is written field by field, as in [`TrafficKey::set_job`], which avoids a failed store
    /// forwarding.
    ///
    /// # Errors
    /// [`Error::RecordTooShort`] if `record` is shorter than every record of this key.
    #[inline(always)]
    pub(crate) fn set_open_job<'a>(
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
        (job.nonce, job.aad) = self.protection(seq, head, ciphertext.len());
        (job.ciphertext, job.out) = (ciphertext, out);
        Ok(())
    }

    /// Returns the length of the inner plaintext in a record of `record_len` bytes.
    ///
    /// # Errors
    /// Returns [`Error::RecordTooShort`] if such a record has no room for nonce and tag.
    #[inline]
    pub fn inner_len(&self, record_len: usize) -> Result<usize, Error> {
        record_len
            .checked_sub(self.prepend() + TAG_LEN)
            .ok_or_else(|| self.too_short(record_len))
    }

    #[cold]
    fn too_short(&self, record_len: usize) -> Error {
        Error::RecordTooShort {
            len: record_len.saturating_sub(HEADER_LEN),
            min: self.explicit + TAG_LEN,
        }
    }

    /// Returns nonce and additional data of a received record. `prepend` is its header and explicit
    /// nonce.
    #[inline(always)]
    pub fn protection(&self, seq: u64, prepend: &[u8], inner_len: usize) -> (NonceBytes, Aad) {
        if self.is_tls12() {
            let nonce = self.nonce12(seq, &prepend[HEADER_LEN..]);
            return (nonce, aad12(seq, prepend[0], inner_len));
        }
        let header = outer_header(inner_len + TAG_LEN);
        (self.nonce_xor(seq), Aad::header(header))
    }

    /// The cipher under this key, for what is not a whole record.
    #[must_use]
    pub fn aead(&self) -> &dyn RecordKey {
        &*self.aead
    }

    /// Removes type and padding from an inner plaintext (RFC 8446 §5.4).
    ///
    /// # Errors
    /// [`Error::NoContentType`]
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

    pub(crate) const fn is_tls12(&self) -> bool {
        self.tls12
    }

    /// Returns the explicit nonce of a record: the iv plus the number of records since the key was
    /// installed, independent of rec_seq (`docs/kernel-rules.md`, S2.1-3).
    pub(super) fn explicit_nonce(&self, seq: u64) -> [u8; 8] {
        let mut start = [0; 8];
        start.copy_from_slice(&self.info.nonce()[4..]);
        let records = seq.wrapping_sub(self.info.rec_seq);
        u64::from_be_bytes(start)
            .wrapping_add(records)
            .to_be_bytes()
    }

    #[cold]
    fn nonce12(&self, seq: u64, explicit: &[u8]) -> NonceBytes {
        if explicit.is_empty() {
            return self.nonce_xor(seq);
        }
        let mut nonce = *self.info.nonce();
        nonce[4..].copy_from_slice(explicit);
        nonce
    }

    /// Computes the nonce of RFC 8446 §5.3, and of RFC 7905 §2 for ChaCha20-Poly1305 in TLS 1.2.
    fn nonce_xor(&self, seq: u64) -> NonceBytes {
        // Stored as two numbers, since the AEAD loads it so: stores byte by byte would defeat store
        // forwarding.
        let [a, b, c, d, tail @ ..] = *self.info.nonce();
        let (head, tail) = (u32::from_be_bytes([a, b, c, d]), u64::from_be_bytes(tail));
        let mut nonce = [0; 12];
        nonce[..4].copy_from_slice(&head.to_be_bytes());
        nonce[4..].copy_from_slice(&(tail ^ seq).to_be_bytes());
        nonce
    }
}

fn aad12(seq: u64, record_type: u8, len: usize) -> Aad {
    Aad::numbered(seq, header12(record_type, len))
}

/// Returns the header of a protected TLS 1.3 record, which is its additional data. It is made of
/// constants and not taken from the wire, as in the kernel (`docs/kernel-rules.md`, S2.1-5).
fn outer_header(len: usize) -> [u8; HEADER_LEN] {
    header12(ContentType::APPLICATION_DATA.0, len)
}

fn header12(opaque_type: u8, len: usize) -> [u8; HEADER_LEN] {
    let version = TLS12;
    Header {
        opaque_type,
        version,
        len,
    }
    .to_bytes()
}

fn check_same(what: &'static str, installed: u16, given: u16) -> Result<(), Error> {
    if installed == given {
        return Ok(());
    }
    Err(Error::RekeyMismatch {
        what,
        installed,
        given,
    })
}

impl fmt::Debug for TrafficKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrafficKey({:?})", self.info)
    }
}
