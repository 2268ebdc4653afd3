//! Sealing one record under a traffic key (`docs/kernel-rules.md`, S2.1).

use super::TrafficKey;
use super::nonce::{record_header, tls12_aad, tls13_header};
use crate::aead::{Aad, SealJob};
use crate::wire::{HEADER_LEN, MAX_PLAINTEXT};

impl TrafficKey {
    /// Seals one record into `out`.
    ///
    /// # Panics
    /// Panics if `out` is not exactly as long as the record, or `plaintext` is longer than 2^14
    /// bytes.
    pub fn seal(&self, seq: u64, record_type: u8, plaintext: &[u8], out: &mut [u8]) {
        let mut job = SealJob::empty();
        self.fill_seal_job(&mut job, seq, record_type, plaintext, out);
        self.aead.seal(job);
    }

    /// Writes the header and the explicit nonce of a record, and fills in `job`.
    ///
    /// The fields are stored one by one into the caller's job. Copying a whole job would load its
    /// fields with wider loads than they were stored with, which defeats store forwarding.
    ///
    /// # Panics
    /// Panics as [`TrafficKey::seal`] does.
    #[inline(always)]
    pub(crate) fn fill_seal_job<'a>(
        &self,
        job: &mut SealJob<'a>,
        seq: u64,
        record_type: u8,
        plaintext: &'a [u8],
        out: &'a mut [u8],
    ) {
        assert!(plaintext.len() <= MAX_PLAINTEXT && out.len() == plaintext.len() + self.overhead);
        if self.is_tls12() {
            return self.fill_tls12_seal_job(job, seq, record_type, plaintext, out);
        }
        let header = tls13_header(out.len() - HEADER_LEN);
        let (header_out, out) = out.split_at_mut(HEADER_LEN);
        header_out.copy_from_slice(&header);
        job.nonce = self.xor_nonce(seq);
        job.aad = Aad::header(header);
        job.plaintext = plaintext;
        job.inner_type = Some(record_type);
        job.out = out;
    }

    /// Fills in `job` for a record of TLS 1.2. See [`TrafficKey::fill_seal_job`].
    fn fill_tls12_seal_job<'a>(
        &self,
        job: &mut SealJob<'a>,
        seq: u64,
        record_type: u8,
        plaintext: &'a [u8],
        out: &'a mut [u8],
    ) {
        let header = record_header(record_type, out.len() - HEADER_LEN);
        let (header_out, out) = out.split_at_mut(HEADER_LEN);
        let (explicit_out, out) = out.split_at_mut(self.explicit);
        header_out.copy_from_slice(&header);
        // Not read back from the buffer: another thread may be writing to it.
        let explicit = &self.explicit_nonce(seq)[..self.explicit];
        explicit_out.copy_from_slice(explicit);
        job.nonce = self.tls12_nonce(seq, explicit);
        job.aad = tls12_aad(seq, record_type, plaintext.len());
        job.plaintext = plaintext;
        job.inner_type = None;
        job.out = out;
    }
}
