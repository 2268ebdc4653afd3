//! Opening in order under one key, pausing at a KeyUpdate.

mod data;

use zeroize::Zeroizing;

use crate::aead::Provider;
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::key::{InnerPlaintext, RecSeq, TrafficKey};
use crate::record::group::{RecordGroup, RecordSpan, two_are_there};
use crate::record::past::PastKeys;
use crate::record::{Framing, MAX_GROUP, WireRecord};
use crate::rekey::{KeyUpdateScanner, RxRekey, RxRekeyEvent};
use crate::wire::{ContentType, TLS13};

pub(crate) use data::OpenedData;

/// Opens records in order under one traffic key.
#[derive(Debug)]
pub struct Opener {
    key: TrafficKey,
    seq: RecSeq,
    framing: Framing,
    state: RxRekey,
    /// Finds KeyUpdates, at which it pauses. None if the owner finds them.
    scanner: Option<KeyUpdateScanner>,
    generation: u64,
    past: PastKeys,
    /// Room for the one record of a batch that does not fit with its type; empty until needed.
    apart: Vec<u8>,
}

/// One opened record of a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenedRecord {
    /// The content type: the inner one in TLS 1.3.
    pub record_type: u8,
    /// Where its plaintext starts in the output.
    pub offset: usize,
    /// Bytes of plaintext.
    pub len: usize,
}

/// Why a batch ended before the last whole record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BatchStop {
    /// The last record ends a KeyUpdate: the next key is needed.
    KeyUpdate,
    /// The next plaintext does not fit.
    Full,
    /// The next record is bad.
    Bad(Error),
}

/// How far a batch came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BatchEnd {
    /// Bytes of wire that were opened.
    pub consumed: usize,
    /// Bytes of output that hold plaintext.
    pub written: usize,
    /// None: every whole record was opened.
    pub stop: Option<BatchStop>,
}

impl Opener {
    /// Starts under `info`, framing as the kernel does.
    ///
    /// # Errors
    /// [`Error::CipherMissing`]
    pub fn new(info: CryptoInfo, provider: &dyn Provider) -> Result<Self, Error> {
        let framing = Framing::kernel(info.cipher(), info.version());
        Self::with_framing(info, provider, framing)
    }

    /// Starts under `info` with other limits.
    ///
    /// # Errors
    /// As [`Opener::new`].
    pub fn with_framing(
        info: CryptoInfo,
        provider: &dyn Provider,
        framing: Framing,
    ) -> Result<Self, Error> {
        Ok(Self {
            seq: RecSeq::new(info.rec_seq),
            key: TrafficKey::new(info, provider)?,
            framing,
            state: RxRekey::Ready,
            scanner: Some(KeyUpdateScanner::default()),
            generation: 0,
            past: PastKeys::default(),
            apart: Vec::new(),
        })
    }

    /// Starts under `info` for an owner that finds KeyUpdates itself: this opener never pauses.
    ///
    /// # Errors
    /// [`Error::CipherMissing`]
    pub(crate) fn without_scanner(
        info: CryptoInfo,
        provider: &dyn Provider,
        framing: Framing,
    ) -> Result<Self, Error> {
        Ok(Self {
            scanner: None,
            ..Self::with_framing(info, provider, framing)?
        })
    }

    /// Installs the next key and resumes.
    ///
    /// # Errors
    /// [`Error::KeyUsed`] for one that this opener has had, whose records could be played again;
    /// [`Error::NoRekeyIn12`], [`Error::RekeyMismatch`], [`Error::CipherMissing`]. Nothing changed then.
    pub fn rekey(&mut self, info: CryptoInfo, provider: &dyn Provider) -> Result<(), Error> {
        self.key.check_rekey(&info)?;
        let digest = self.past.check(self.key.info(), &info, provider)?;
        self.follow(info, provider)?;
        self.past.add(digest);
        Ok(())
    }

    /// As [`Opener::rekey`], for a key derived from the one in use, which is always new.
    ///
    /// # Errors
    /// [`Error::NoRekeyIn12`], [`Error::RekeyMismatch`], [`Error::CipherMissing`]; nothing changed.
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
    /// [`Error::KeyExpired`], [`Error::NotOneRecord`], those of [`Framing::deframe`] and [`TrafficKey::open`].
    pub fn open(&mut self, record: &[u8], out: &mut [u8]) -> Result<InnerPlaintext, Error> {
        self.check_ready()?;
        match self.framing.deframe(record)? {
            Some(frame) if frame.len == record.len() => self.open_frame(record, out),
            Some(_) | None => Err(Error::NotOneRecord { len: record.len() }),
        }
    }

    /// Opens as many whole records as `wire` holds, plaintexts packed into `out`; `done` learns each.
    ///
    /// # Errors
    /// [`Error::KeyExpired`] while paused. What the peer did wrong is [`BatchStop::Bad`].
    pub fn open_batch(
        &mut self,
        wire: &[u8],
        out: &mut [u8],
        done: impl FnMut(OpenedRecord),
    ) -> Result<BatchEnd, Error> {
        self.open_up_to(usize::MAX, wire, out, done)
    }

    /// As [`Opener::open_batch`], but no more than `most` records, whatever becomes of `wire` meanwhile.
    ///
    /// # Errors
    /// As [`Opener::open_batch`].
    pub fn open_up_to(
        &mut self,
        most: usize,
        wire: &[u8],
        out: &mut [u8],
        mut done: impl FnMut(OpenedRecord),
    ) -> Result<BatchEnd, Error> {
        self.check_ready()?;
        Ok(self.go_on(most, wire, out, BatchEnd::default(), &mut done))
    }

    /// Opens at most so many records behind `end`.
    pub(super) fn go_on(
        &mut self,
        most: usize,
        wire: &[u8],
        out: &mut [u8],
        mut end: BatchEnd,
        done: &mut impl FnMut(OpenedRecord),
    ) -> BatchEnd {
        let mut left = most;
        while end.stop.is_none() && left > 0 {
            let taken = self.open_together(left, wire, out, &mut end, done);
            if taken > 0 {
                left -= taken;
                continue;
            }
            let rest = &wire[end.consumed..];
            let frame = match self.framing.deframe(rest) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(error) => {
                    end.stop = Some(BatchStop::Bad(error));
                    break;
                }
            };
            self.step(frame, rest, out, &mut end, done);
            // One record, or the end.
            left -= 1;
        }
        end
    }

    fn step(
        &mut self,
        frame: WireRecord,
        rest: &[u8],
        out: &mut [u8],
        end: &mut BatchEnd,
        done: &mut impl FnMut(OpenedRecord),
    ) {
        match self.open_frame(&rest[..frame.len], &mut out[end.written..]) {
            Ok(InnerPlaintext {
                record_type, len, ..
            }) => {
                done(OpenedRecord {
                    record_type,
                    offset: end.written,
                    len,
                });
                end.consumed += frame.len;
                end.written += len;
                end.stop = self.paused().then_some(BatchStop::KeyUpdate);
            }
            Err(Error::NoRoom { .. }) => end.stop = Some(BatchStop::Full),
            Err(error) => end.stop = Some(BatchStop::Bad(error)),
        }
    }

    /// Opens the next few records together, at most so many, if the key gains by that; gives how many.
    ///
    /// What is not plain sailing is left to [`Opener::step`], which opens it again, alone.
    fn open_together(
        &mut self,
        most: usize,
        wire: &[u8],
        out: &mut [u8],
        end: &mut BatchEnd,
        done: &mut impl FnMut(OpenedRecord),
    ) -> usize {
        let (wire, from) = (&wire[end.consumed..], end.written);
        if self.key.interleaved().is_none() || !two_are_there(&self.framing, wire) {
            return 0;
        }
        let mut places = [RecordSpan::default(); MAX_GROUP];
        let places = &mut places[..most.min(MAX_GROUP)];
        let opened = self.group().open_front(wire, &mut out[from..], places);
        let taken = self.accept(&places[..opened], out, from, end, done);
        // Padding, and what was opened behind a KeyUpdate, is not the caller's.
        let reach = places[..opened]
            .iter()
            .map(|place| place.room)
            .sum::<usize>();
        out[end.written..from + reach].fill(0);
        taken
    }

    /// What opens the next records.
    pub(super) const fn group(&self) -> RecordGroup<'_> {
        RecordGroup {
            key: &self.key,
            framing: &self.framing,
            next: self.seq,
        }
    }

    /// Takes records that were opened into `out` from `from` on, as far as nothing speaks against it;
    /// gives how many.
    pub(super) fn accept(
        &mut self,
        opened: &[RecordSpan],
        out: &mut [u8],
        mut from: usize,
        end: &mut BatchEnd,
        done: &mut impl FnMut(OpenedRecord),
    ) -> usize {
        let (tls12, mut taken) = (self.key.is_tls12(), 0);
        for place in opened {
            let inner = &out[from..from + place.room];
            let Some((record_type, len)) = place.stripped(inner, tls12) else {
                break;
            };
            let offset = end.written;
            if from != offset {
                out.copy_within(from..from + len, offset);
            }
            from += place.room;

            // Nothing below may fail: the record is spent.
            self.notice(record_type, &out[offset..offset + len]);
            done(OpenedRecord {
                record_type,
                offset,
                len,
            });
            end.consumed += place.record;
            end.written += len;
            taken += 1;
            if self.paused() {
                end.stop = Some(BatchStop::KeyUpdate);
                break;
            }
        }
        self.seq = self.seq.after(taken as u64);
        taken
    }

    /// Opens one framed record and notices a KeyUpdate in it.
    fn open_frame(&mut self, record: &[u8], out: &mut [u8]) -> Result<InnerPlaintext, Error> {
        let mut seq = self.seq;
        let number = seq.take()?;
        let inner = if self.key.inner_len(record.len())? <= out.len() {
            let inner = self.key.open(number, record, out)?;
            // Type and padding lie behind the plaintext: they are not the caller's.
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

    /// Opens a record of which perhaps only type and padding do not fit `out`.
    fn open_apart(
        &mut self,
        number: u64,
        record: &[u8],
        out: &mut [u8],
    ) -> Result<InnerPlaintext, Error> {
        let inner_len = self.key.inner_len(record.len())?;
        let mut apart = Zeroizing::new(std::mem::take(&mut self.apart));
        let room = inner_len.max(apart.len());
        apart.resize(room, 0);
        let inner = self.key.open(number, record, &mut apart)?;
        let fits = out
            .get_mut(..inner.len)
            .map(|out| out.copy_from_slice(&apart[..inner.len]));
        apart[..inner_len].fill(0);
        self.apart = std::mem::take(&mut apart);
        fits.map(|()| inner).ok_or(Error::NoRoom {
            need: inner.len,
            have: out.len(),
        })
    }

    fn notice(&mut self, record_type: u8, plaintext: &[u8]) {
        if self.key.info().version() != TLS13 || record_type != ContentType::HANDSHAKE.0 {
            return;
        }
        let Some(scanner) = &mut self.scanner else {
            return;
        };
        let mut found = false;
        scanner.feed(record_type, plaintext, |_| found = true);
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

    /// The number of the next record.
    #[must_use]
    pub const fn rec_seq(&self) -> u64 {
        self.seq.next()
    }

    /// How often the key was changed.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// True between a KeyUpdate and [`Opener::rekey`].
    #[must_use]
    pub fn paused(&self) -> bool {
        self.state == RxRekey::Paused
    }

    /// The rules for the record borders.
    #[must_use]
    pub const fn framing(&self) -> &Framing {
        &self.framing
    }

    /// Bytes of inner plaintext in a record of `record_len` bytes.
    ///
    /// # Errors
    /// [`Error::RecordTooShort`]
    pub fn inner_len(&self, record_len: usize) -> Result<usize, Error> {
        self.key.inner_len(record_len)
    }

    /// 0x0303 or 0x0304.
    #[must_use]
    pub const fn version(&self) -> u16 {
        self.key.info().version()
    }
}
