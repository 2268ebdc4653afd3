//! The sending half of a session: plaintext in, wire bytes out.
//!
//! Sealed records stay in one buffer ([`SessionSender::wire`]) until the driver has sent them. Data
//! leaves some room in it, so that a KeyUpdate or an alert always fits behind. A KeyUpdate that no
//! limit requires waits until the peer reads again.
//!
//! A KeyUpdate is sealed under the old key, and everything behind it under the new one. Every step
//! that can fail is done before the KeyUpdate is sealed. The answer to the peer's request is sent
//! before any more data (RFC 8446 §4.6.3), and one answer serves all requests before it.

mod ending;
mod hand_over;
mod key_update;

use std::time::Duration;

use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::fifo::{Fifo, FifoPool};
use crate::record::{RecordPlaintext, Sealer};
use crate::rekey::TxRekey;
use crate::session::key_update_schedule::RekeySchedule;
use crate::session::{KeySource, SessionSettings, UnsentLimit};
use crate::stats::Counter;
use crate::suite::KeyLimits;
use crate::wire::{ContentType, MAX_PLAINTEXT, TLS13};

pub use ending::{LastWord, SendEnding};

/// Seals the application data of a session, and KeyUpdates when they are due.
pub struct SessionSender {
    sealer: Sealer,
    rekey: TxRekey,
    keys: Box<dyn KeySource>,
    setting: SessionSettings,
    wire: Fifo,
    schedule: RekeySchedule,
    /// Our key updates before the first key of this sender.
    past_updates: u64,
    /// Whether the peer has requested a KeyUpdate that is not sealed yet.
    owed: bool,
    ending: SendEnding,
    data: u64,
    records: u64,
}

/// Wire bytes that data leaves free for KeyUpdates and alerts.
const SPARE: usize = 256;
/// If more wire bytes than this are waiting to be sent, the answer to a KeyUpdate of the peer waits
/// as well, so that one answer serves many requests.
const CALM: usize = UnsentLimit::BOUNDED.calm;

impl SessionSender {
    /// Makes a sender that starts under the key of `info`.
    ///
    /// # Errors
    /// [`Error::CipherMissing`] if the provider does not have the cipher.
    pub fn new(
        info: CryptoInfo,
        keys: Box<dyn KeySource>,
        setting: &SessionSettings,
    ) -> Result<Self, Error> {
        let KeyLimits { soft, hard } = info.cipher().limits;
        // TLS 1.2 has no key update: nothing is due before the hard limit ends the connection.
        let (soft, schedule) = match info.version() {
            TLS13 => (
                setting.policy.rekey_records.unwrap_or(soft).clamp(1, soft),
                RekeySchedule::new(&setting.policy),
            ),
            _ => (hard, RekeySchedule::never()),
        };
        let sealer = Sealer::new(info, setting.provider)?.with_limits(KeyLimits { soft, hard });
        setting.stats.add(Counter::TlsTxSw);
        setting.stats.add(Counter::TlsCurrTxSw);
        Ok(Self {
            sealer,
            rekey: TxRekey::default(),
            past_updates: keys.past_updates(),
            keys,
            setting: setting.clone(),
            wire: Fifo::default(),
            schedule,
            owed: false,
            ending: SendEnding::Open,
            data: 0,
            records: 0,
        })
    }

    /// Seals as much of the start of `data` as there is room for, and changes the key where that is
    /// due. Returns the number of bytes taken: 0 if [`SessionSender::wire`] has to be sent first.
    ///
    /// `now` is a time on any clock that does not go back.
    ///
    /// # Errors
    /// None of `data` is taken by an error. [`Error::KeyExhausted`] in TLS 1.2, whose keys cannot
    /// be changed. Also returns the errors of [`SessionSender::key_update`].
    pub fn write(&mut self, data: &[u8], now: Duration) -> Result<usize, Error> {
        self.schedule.set_time(now);
        self.check_open()?;
        self.answer_within(self.setting.unsent.calm)?;
        if self.owed {
            // The answer has to be sent before any data, and the waiting bytes before the answer.
            return Ok(0);
        }
        let mut taken = 0;
        while taken < data.len() {
            match self.seal_next(&data[taken..]) {
                Ok(0) => break,
                Ok(count) => taken += count,
                // The sealed bytes are taken: the next call returns the error.
                Err(_) if taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn seal_next(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.update_key_if_due()?;
        self.seal_some(data)
    }

    /// Checks that a control message of `len` bytes fits, if at most `most` wire bytes may wait,
    /// and that a record number is left for it.
    fn check_room(&self, len: usize, most: usize) -> Result<(), Error> {
        let (need, have) = (len + self.sealer.overhead(), self.free(most));
        if have < need {
            return Err(Error::NoRoom { need, have });
        }
        if self.sealer.left() == 0 {
            return Err(Error::SeqExhausted);
        }
        Ok(())
    }

    /// Queues bytes that are sealed already, such as the end of a handshake. Call it before any
    /// record is sealed.
    pub fn queue_sealed(&mut self, bytes: &[u8]) {
        self.wire.push(bytes);
    }

    /// Takes memory from `pool` for what will be sealed.
    pub fn borrow_memory(&mut self, pool: &mut FifoPool) {
        pool.lend(&mut self.wire);
    }

    /// Returns memory that holds nothing to `pool`.
    pub fn return_memory(&mut self, pool: &mut FifoPool) {
        pool.collect(&mut self.wire);
    }

    /// Returns the sealed bytes that wait to be sent.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        self.wire.bytes()
    }

    /// Drops the first `count` bytes of [`SessionSender::wire`], which were sent.
    pub fn wrote(&mut self, count: usize) {
        self.wire.consume(count);
    }

    /// Returns the number of our key updates.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.sealer.generation()
    }

    /// Returns the bytes of application data that were sealed.
    #[must_use]
    pub const fn data(&self) -> u64 {
        self.data
    }

    /// Returns the number of records sealed, including those of KeyUpdates and alerts.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Seals as much of `data` as fits and the key in use may still seal.
    fn seal_some(&mut self, data: &[u8]) -> Result<usize, Error> {
        let count = data
            .len()
            .min(self.fits(data.len()))
            .min(self.until_renewal()?);
        if count == 0 {
            return Ok(0);
        }
        self.seal(ContentType::APPLICATION_DATA, &data[..count])?;
        self.schedule.note_sealed(count as u64);
        self.data += count as u64;
        Ok(count)
    }

    /// Returns how many of `len` bytes of plaintext fit: all, or as many as fill whole records. A
    /// short record at the end of the room would waste a tag and a system call.
    fn fits(&self, len: usize) -> usize {
        let room = self.free(self.setting.unsent.most).saturating_sub(SPARE);
        let overhead = self.sealer.overhead();
        let records = len.div_ceil(MAX_PLAINTEXT);
        if len + records * overhead <= room {
            return len;
        }
        room / (MAX_PLAINTEXT + overhead) * MAX_PLAINTEXT
    }

    /// Returns how many more wire bytes fit, if at most `most` may wait.
    const fn free(&self, most: usize) -> usize {
        most.saturating_sub(self.wire.len())
    }

    /// Returns the bytes of plaintext that the key may still seal. One record is reserved for the
    /// last alert.
    fn until_renewal(&self) -> Result<usize, Error> {
        let KeyLimits { hard: limit, .. } = self.sealer.limits();
        let left = self.sealer.left().saturating_sub(1);
        if left == 0 {
            return Err(Error::KeyExhausted { limit });
        }
        let (records, bytes) = if self.may_update() {
            let records = self.sealer.until_soft().max(1).min(left);
            (records, self.schedule.bytes_left().max(1))
        } else {
            // No other key may follow.
            (left, u64::MAX)
        };
        let bytes = bytes.min(records.saturating_mul(MAX_PLAINTEXT as u64));
        Ok(usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    fn seal(&mut self, record_type: ContentType, plaintext: &[u8]) -> Result<(), Error> {
        let record_type = record_type.0;
        let pieces = plaintext
            .chunks(MAX_PLAINTEXT)
            .map(|plaintext| RecordPlaintext {
                record_type,
                plaintext,
            });
        let need = plaintext.len() + pieces.len() * self.sealer.overhead();
        let have = self.free(self.setting.unsent.most);
        if need > have {
            return Err(Error::NoRoom { need, have });
        }
        self.wire.reserve(need)?;
        let mut records = 0;
        let written = self
            .sealer
            .seal_batch(pieces, self.wire.space(need), |_| records += 1)?;
        self.wire.commit(written);
        self.records += records;
        Ok(())
    }
}

/// Wire bytes of this many full records, and [`SPARE`].
pub(super) const fn wire_of(records: usize) -> usize {
    records * (MAX_PLAINTEXT + 64) + SPARE
}

impl Drop for SessionSender {
    fn drop(&mut self) {
        self.setting.stats.sub(Counter::TlsCurrTxSw);
    }
}
