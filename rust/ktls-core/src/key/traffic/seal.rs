//! Sealing one record under a traffic key (`docs/kernel-rules.md`, S2.1).

use super::TrafficKey;
use super::nonce::{aad12, header12, outer_header};
use crate::aead::{Aad, SealJob};
use crate::wire::{HEADER_LEN, MAX_PLAINTEXT};

impl TrafficKey {
    /// Seals one record into `out`.
    ///
    /// # Panics
    /// Panics if `out` is not exactly as long as the record, or `plaintext` is longer than 2^14
    /// bytes.
    pub fn seal(&self, seq: u64, record_type: u8, plaintext: &[u8], out: &mut [u8]) {
        self.aead
            .seal(self.seal_job(seq, record_type, plaintext, out));
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
}
