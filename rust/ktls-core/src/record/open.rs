//! Opens records in order under one key, and pauses at a KeyUpdate.

mod batch;

use zeroize::Zeroizing;

use crate::aead::Provider;
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::key::{InnerPlaintext, RecSeq, TrafficKey};
use crate::record::previous_keys::PastKeys;
use crate::record::{Framing, WireRecord};
use crate::rekey::{KeyUpdateScanner, RxRekey, RxRekeyEvent};
use crate::suite::Cipher;
use crate::wire::{ContentType, TLS13};

pub use batch::{BatchEnd, BatchStop, OpenedRecord};

pub(in crate::record) use batch::OpenBatch;
pub(crate) use batch::OpenedData;

/// Opens records in order under one traffic key.
#[derive(Debug)]
pub struct Opener {
    key: TrafficKey,
    seq: RecSeq,
    framing: Framing,
    state: RxRekey,
    /// Finds KeyUpdates, at which the opener pauses. `None` if its owner finds them.
    scanner: Option<KeyUpdateScanner>,
    generation: u64,
    past: PastKeys,
    /// Memory for a record whose plaintext fits into the output, but not with its content type.
    apart: Vec<u8>,
}

impl Opener {
    /// Makes an opener that starts under the key of `info` and deframes by the kernel's rules.
    ///
    /// # Errors
    /// [`Error::CipherMissing`] if `provider` does not have the cipher.
    pub fn new(info: CryptoInfo, provider: &dyn Provider) -> Result<Self, Error> {
        Self::with_framing(info, provider, Framing::kernel)
    }

    /// Makes an opener that starts under the key of `info` and deframes by the rules that `framing`
    /// returns for its cipher and version: [`Framing::kernel`] or [`Framing::rfc`].
    ///
    /// # Errors
    /// Returns the errors of [`Opener::new`].
    pub fn with_framing(
        info: CryptoInfo,
        provider: &dyn Provider,
        framing: fn(&Cipher, u16) -> Framing,
    ) -> Result<Self, Error> {
        Ok(Self {
            seq: RecSeq::new(info.rec_seq),
            framing: framing(info.cipher(), info.version()),
            key: TrafficKey::new(info, provider)?,
            state: RxRekey::Ready,
            scanner: Some(KeyUpdateScanner::default()),
            generation: 0,
            past: PastKeys::default(),
            apart: Vec::new(),
        })
    }

    /// Makes an opener for an owner that finds KeyUpdates itself: it never pauses. See
    /// [`Opener::with_framing`].
    ///
    /// # Errors
    /// Returns the errors of [`Opener::new`].
    pub(crate) fn without_scanner(
        info: CryptoInfo,
        provider: &dyn Provider,
        framing: fn(&Cipher, u16) -> Framing,
    ) -> Result<Self, Error> {
        Ok(Self {
            scanner: None,
            ..Self::with_framing(info, provider, framing)?
        })
    }

    /// Installs the next key, and resumes after a pause.
    ///
    /// # Errors
    /// Nothing is changed by an error.
    /// - [`Error::KeyUsed`] if this opener has had the key: its records could be replayed.
    /// - [`Error::NoRekeyIn12`] if this opener is for TLS 1.2.
    /// - [`Error::RekeyMismatch`] if the key is for another version or cipher.
    /// - [`Error::CipherMissing`] if `provider` does not have the cipher, or no SHA-256.
    pub fn rekey(&mut self, info: CryptoInfo, provider: &dyn Provider) -> Result<(), Error> {
        self.key.check_rekey(&info)?;
        let digest = self.past.check(self.key.info(), &info, provider)?;
        self.follow(info, provider)?;
        self.past.add(digest);
        Ok(())
    }

    /// Installs a key that was derived from the one in use, and is therefore new. See
    /// [`Opener::rekey`].
    ///
    /// # Errors
    /// Returns the errors of [`Opener::rekey`] except for [`Error::KeyUsed`]. Nothing is changed by
    /// an error.
    pub(crate) fn follow(
        &mut self,
        info: CryptoInfo,
        provider: &dyn Provider,
    ) -> Result<(), Error> {
        self.key.check_rekey(&info)?;
        let state = self.state.on(RxRekeyEvent::KeyInstalled)?;
        let seq = RecSeq::new(info.rec_seq);
        let key = TrafficKey::new(info, provider)?;

        // Nothing below may fail: the old key is gone.
        self.key = key;
        self.seq = seq;
        self.state = state;
        self.scanner = self.scanner.map(|_| KeyUpdateScanner::default());
        self.generation += 1;
        Ok(())
    }

    /// Opens exactly one record, its plaintext at the start of `out`.
    ///
    /// # Errors
    /// [`Error::KeyExpired`] while paused; [`Error::NotOneRecord`] if `record` is longer or shorter
    /// than one record. Also returns the errors of [`Framing::deframe`] and
    /// [`TrafficKey::open_record`].
    pub fn open(&mut self, record: &[u8], out: &mut [u8]) -> Result<InnerPlaintext, Error> {
        self.check_ready()?;
        match self.framing.deframe(record)? {
            Some(one) if one.rest().is_empty() => self.open_next(one, out),
            Some(_) | None => Err(Error::NotOneRecord { len: record.len() }),
        }
    }

    /// Opens a record that the rules of this opener have deframed, its plaintext at the start of
    /// `out`.
    ///
    /// # Errors
    /// [`Error::KeyExpired`] while paused. Also returns the errors of [`TrafficKey::open_record`].
    pub(crate) fn open_record(
        &mut self,
        record: WireRecord<'_>,
        out: &mut [u8],
    ) -> Result<InnerPlaintext, Error> {
        self.check_ready()?;
        self.open_next(record, out)
    }

    /// Opens the next record, and pauses if it ends a KeyUpdate.
    #[inline(always)]
    fn open_next(
        &mut self,
        record: WireRecord<'_>,
        out: &mut [u8],
    ) -> Result<InnerPlaintext, Error> {
        let mut seq = self.seq;
        let number = seq.take()?;
        let inner = if record.inner_len() <= out.len() {
            let inner = self.key.open_record(number, record, out)?;
            // The caller must not see the content type and padding behind the plaintext.
            out[inner.len..inner.inner_len].fill(0);
            inner
        } else {
            self.open_apart(number, record, out)?
        };

        // Nothing below may fail: the record is spent.
        self.seq = seq;
        self.notice(inner.record_type, &out[..inner.len]);
        Ok(inner)
    }

    /// Opens a record whose inner plaintext does not fit `out`, although its plaintext may. Out of
    /// line, since few records are opened so.
    #[cold]
    fn open_apart(
        &mut self,
        number: u64,
        record: WireRecord<'_>,
        out: &mut [u8],
    ) -> Result<InnerPlaintext, Error> {
        let mut apart = Zeroizing::new(std::mem::take(&mut self.apart));
        let room = record.inner_len().max(apart.len());
        apart.resize(room, 0);
        let inner = self.key.open_record(number, record, &mut apart)?;
        let fits = out
            .get_mut(..inner.len)
            .map(|out| out.copy_from_slice(&apart[..inner.len]));
        apart[..inner.inner_len].fill(0);
        self.apart = std::mem::take(&mut apart);
        fits.map(|()| inner).ok_or(Error::NoRoom {
            need: inner.len,
            have: out.len(),
        })
    }

    /// Pauses if the plaintext of an opened record ends a KeyUpdate.
    #[inline]
    fn notice(&mut self, record_type: u8, plaintext: &[u8]) {
        if record_type == ContentType::HANDSHAKE.0 && self.key.info().version() == TLS13 {
            self.scan(plaintext);
        }
    }

    /// Scans a handshake record. Out of line, since few records are.
    #[cold]
    fn scan(&mut self, plaintext: &[u8]) {
        let Some(scanner) = &mut self.scanner else {
            return;
        };
        let mut found = false;
        scanner.feed(ContentType::HANDSHAKE.0, plaintext, |_| found = true);
        if found {
            self.state = RxRekey::Paused;
        }
    }

    pub(super) fn check_ready(&self) -> Result<(), Error> {
        match self.state {
            RxRekey::Ready => Ok(()),
            RxRekey::Paused => Err(Error::KeyExpired),
            RxRekey::NoKey => Err(Error::NoKey),
        }
    }

    /// Returns the sequence number of the next record.
    #[must_use]
    pub const fn rec_seq(&self) -> u64 {
        self.seq.next()
    }

    /// Returns how many times the key was changed.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Returns `true` between a KeyUpdate and [`Opener::rekey`].
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.state == RxRekey::Paused
    }

    /// Returns the rules for finding records.
    #[must_use]
    pub const fn framing(&self) -> &Framing {
        &self.framing
    }

    /// Returns the key in use, with the number of the next record.
    #[must_use]
    pub fn live_info(&self) -> CryptoInfo {
        self.key.live_info(self.seq.next())
    }

    /// Returns the protocol version: 0x0303 or 0x0304.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.key.info().version()
    }
}
