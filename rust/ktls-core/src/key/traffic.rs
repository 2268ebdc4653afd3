//! A key in use: how one record is sealed and opened under it
//! (`docs/kernel-rules.md`, S2.1 and S3.2).

use std::fmt;

use crate::aead::{Aad, Interleaved, NonceBytes, OpenJob, Provider, RecordKey, SealJob};
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::wire::{ContentType, HEADER_LEN, Header, MAX_PLAINTEXT, TAG_LEN, TLS12, TLS13};

/// An expanded traffic key with its iv. Knows nothing of which number comes next.
pub struct TrafficKey {
    info: CryptoInfo,
    aead: Box<dyn RecordKey>,
    tls12: bool,
    /// Of the cipher in this version, looked up once.
    explicit: usize,
    overhead: usize,
}

/// The plaintext of a record that authenticated: its type and how much of `out` it takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InnerPlaintext {
    /// The content type: the inner one in TLS 1.3.
    pub record_type: u8,
    /// Bytes of plaintext, padding and type taken off.
    pub len: usize,
    /// Bytes of inner plaintext: with type and padding in TLS 1.3.
    pub inner_len: usize,
}

impl TrafficKey {
    /// Expands the key of `info`.
    ///
    /// # Errors
    /// [`Error::CipherMissing`]
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

    /// What was installed, with the number it started from.
    #[must_use]
    pub const fn info(&self) -> &CryptoInfo {
        &self.info
    }

    /// What `getsockopt` tells when `seq` is the next number: the live iv and rec_seq
    /// (`docs/kernel-rules.md`, S1.5-3).
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

    /// Bytes that a record has on top of its plaintext.
    #[must_use]
    pub const fn overhead(&self) -> usize {
        self.overhead
    }

    /// Bytes in front of the ciphertext.
    #[must_use]
    pub const fn prepend(&self) -> usize {
        HEADER_LEN + self.explicit
    }

    /// Checks that `next` may follow this key (`docs/kernel-rules.md`, S1.4-3 and S1.4-4).
    ///
    /// # Errors
    /// [`Error::NoRekeyIn12`], [`Error::RekeyMismatch`]
    pub fn check_rekey(&self, next: &CryptoInfo) -> Result<(), Error> {
        if self.is_tls12() {
            return Err(Error::NoRekeyIn12);
        }
        same("version", self.info.version(), next.version())?;
        same(
            "cipher",
            self.info.cipher().cipher_type,
            next.cipher().cipher_type,
        )
    }

    /// Seals one record into `out`, which is exactly as long as the record.
    ///
    /// # Panics
    /// When `out` has another length, or the plaintext is over 2^14 bytes.
    pub fn seal(&self, seq: u64, record_type: u8, plaintext: &[u8], out: &mut [u8]) {
        self.aead
            .seal(self.seal_job(seq, record_type, plaintext, out));
    }

    /// The key, if it seals or opens several records together in less time.
    pub(crate) fn interleaved(&self) -> Option<&dyn Interleaved> {
        self.aead.interleaved()
    }

    /// All of a record but the work of the AEAD: header and explicit nonce are written.
    ///
    /// # Panics
    /// As [`TrafficKey::seal`].
    #[inline]
    fn seal_job<'a>(
        &self,
        seq: u64,
        record_type: u8,
        plaintext: &'a [u8],
        out: &'a mut [u8],
    ) -> SealJob<'a> {
        let mut job = SealJob::none();
        self.set_job(&mut job, seq, record_type, plaintext, out);
        job
    }

    /// The same in a place that is there already, field by field: copied as a whole, a job would wait
    /// for its fields to be written.
    ///
    /// # Panics
    /// As [`TrafficKey::seal`].
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
        // Not read back from the buffer, which another thread may be writing to.
        let explicit = &self.explicit_nonce(seq)[..self.explicit];
        explicit_out.copy_from_slice(explicit);
        job.nonce = self.nonce12(seq, explicit);
        job.aad = aad12(seq, record_type, plaintext.len());
        job.plaintext = plaintext;
        job.inner_type = None;
        job.out = out;
    }

    /// Opens the record in `record`, whose header says its length, into the start of `out`.
    ///
    /// `out` must hold the inner plaintext: see [`TrafficKey::inner_len`].
    ///
    /// # Errors
    /// [`Error::BadTag`], [`Error::NoContentType`]; [`Error::RecordTooShort`] and [`Error::NoRoom`]
    /// for what a deframer lets through and a caller sizes wrongly.
    pub fn open(&self, seq: u64, record: &[u8], out: &mut [u8]) -> Result<InnerPlaintext, Error> {
        let inner = self.open_inner(seq, record, out)?;
        self.strip(record[0], inner)
    }

    /// The same with type and padding: the inner plaintext, at the start of `out`.
    ///
    /// # Errors
    /// As [`TrafficKey::open`].
    pub(crate) fn open_inner<'a>(
        &self,
        seq: u64,
        record: &[u8],
        out: &'a mut [u8],
    ) -> Result<&'a [u8], Error> {
        let inner_len = self.inner_len(record.len())?;
        let have = out.len();
        let out = out.get_mut(..inner_len).ok_or(Error::NoRoom {
            need: inner_len,
            have,
        })?;
        self.aead.open(self.open_job(seq, record, out)?)?;
        Ok(out)
    }

    /// All that the AEAD needs of the record in `record`; `out` is what it gets.
    ///
    /// # Errors
    /// [`Error::RecordTooShort`]
    #[inline]
    pub(crate) fn open_job<'a>(
        &self,
        seq: u64,
        record: &'a [u8],
        out: &'a mut [u8],
    ) -> Result<OpenJob<'a>, Error> {
        let mut job = OpenJob::none();
        self.set_open_job(&mut job, seq, record, out)?;
        Ok(job)
    }

    /// The same in a place that is there already, as [`TrafficKey::set_job`].
    ///
    /// # Errors
    /// [`Error::RecordTooShort`]
    #[inline(always)]
    pub(crate) fn set_open_job<'a>(
        &self,
        job: &mut OpenJob<'a>,
        seq: u64,
        record: &'a [u8],
        out: &'a mut [u8],
    ) -> Result<(), Error> {
        let inner_len = self.inner_len(record.len())?;
        let (head, rest) = record.split_at(self.prepend());
        let (ciphertext, tag) = rest.split_at(inner_len);
        job.tag = tag.try_into().map_err(|_| Error::RecordTooShort {
            len: rest.len(),
            min: TAG_LEN,
        })?;
        (job.nonce, job.aad) = self.protection(seq, head, inner_len);
        (job.ciphertext, job.out) = (ciphertext, out);
        Ok(())
    }

    /// Bytes of inner plaintext in a record of `record_len` bytes.
    ///
    /// # Errors
    /// [`Error::RecordTooShort`]
    #[inline]
    pub fn inner_len(&self, record_len: usize) -> Result<usize, Error> {
        let min = self.prepend() + TAG_LEN;
        record_len.checked_sub(min).ok_or(Error::RecordTooShort {
            len: record_len.saturating_sub(HEADER_LEN),
            min: min - HEADER_LEN,
        })
    }

    /// Nonce and additional data of a received record: `prepend` is its header and explicit nonce.
    #[inline(always)]
    pub(super) fn protection(
        &self,
        seq: u64,
        prepend: &[u8],
        inner_len: usize,
    ) -> (NonceBytes, Aad) {
        if self.is_tls12() {
            let nonce = self.nonce12(seq, &prepend[HEADER_LEN..]);
            return (nonce, aad12(seq, prepend[0], inner_len));
        }
        let header = outer_header(inner_len + TAG_LEN);
        (self.nonce_xor(seq), Aad::header(header))
    }

    pub(super) fn aead(&self) -> &dyn RecordKey {
        &*self.aead
    }

    /// Takes type and padding off an inner plaintext (RFC 8446 §5.4).
    pub(super) fn strip(&self, opaque_type: u8, inner: &[u8]) -> Result<InnerPlaintext, Error> {
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

    /// The iv counted up by one per record since the key was installed, whatever rec_seq is
    /// (`docs/kernel-rules.md`, S2.1-3).
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

    /// RFC 8446 §5.3, and RFC 7905 §2 for ChaCha20-Poly1305 in TLS 1.2.
    fn nonce_xor(&self, seq: u64) -> NonceBytes {
        // As two numbers, for an AEAD reads it so: byte by byte it would have to wait for the writing.
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

/// That of a protected record of TLS 1.3, which is all of its additional data: made of constants and
/// not taken from the wire, as in the kernel (`docs/kernel-rules.md`, S2.1-5).
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

fn same(what: &'static str, installed: u16, given: u16) -> Result<(), Error> {
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
