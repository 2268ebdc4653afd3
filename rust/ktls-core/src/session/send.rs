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

use std::time::Duration;

use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::Error;
use crate::fifo::{Fifo, FifoPool};
use crate::record::{RecordPlaintext, Sealer};
use crate::rekey::{Reply, TxRekey, TxRekeyEvent};
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

/// The most key updates of one connection (RFC 9846 §4.7.3).
const MAX_KEY_UPDATES: u64 = (1 << 48) - 1;
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

    /// Seals a KeyUpdate and puts our next key in use (RFC 8446 §4.6.3).
    ///
    /// While a request of ours is not answered, the KeyUpdate requests no answer, regardless of
    /// `reply` (RFC 9846 §4.7.3). `now` is a time on the clock of [`SessionSender::write`].
    ///
    /// # Errors
    /// Nothing is changed by an error.
    /// - [`Error::NoRekeyIn12`] in TLS 1.2.
    /// - [`Error::KeyUpdatesExhausted`] after 2^48 - 1 key updates.
    /// - [`Error::SendClosed`] after close_notify, [`Error::Dead`] after a fatal alert.
    /// - [`Error::NoRoom`] if too many sealed bytes are waiting to be sent.
    /// - [`Error::SeqExhausted`] if no record number is left for the KeyUpdate.
    pub fn key_update(&mut self, reply: Reply, now: Duration) -> Result<(), Error> {
        self.schedule.set_time(now);
        self.update_key(reply)
    }

    fn update_key(&mut self, reply: Reply) -> Result<(), Error> {
        self.check_open()?;
        if self.sealer.version() != TLS13 {
            return Err(Error::NoRekeyIn12);
        }
        if !self.may_update() {
            return Err(Error::KeyUpdatesExhausted);
        }
        self.check_room(reply.message().len(), self.setting.unsent.calm)?;
        self.seal_key_update(reply)
    }

    /// Returns `true` if RFC 9846 §4.7.3 allows another key update. Only senders have this limit.
    fn may_update(&self) -> bool {
        let updates = self.past_updates.saturating_add(self.sealer.generation());
        updates < MAX_KEY_UPDATES
    }

    /// Seals a KeyUpdate if a record number and room are left, and installs the next key.
    fn seal_key_update(&mut self, reply: Reply) -> Result<(), Error> {
        let reply = if self.rekey.may_request() {
            reply
        } else {
            Reply::NotRequested
        };
        let installed = self
            .rekey
            .on(TxRekeyEvent::Start(reply))?
            .on(TxRekeyEvent::KeyInstalled)?;
        self.check_room(reply.message().len(), self.setting.unsent.most)?;
        let next = self.keys.next(Direction::Tx)?;
        let next = self.sealer.prepare(next, self.setting.provider)?;
        self.seal(ContentType::HANDSHAKE, &reply.message())?;

        // Nothing below may fail: the peer will change to the next key.
        self.sealer.install(next);
        self.setting.stats.add(Counter::TlsTxRekeyOk);
        if reply == Reply::Requested {
            self.setting.stats.add(Counter::TlsTxRekeyRequest);
        }
        self.rekey = installed;
        self.schedule.note_key_update();
        self.owed = false;
        Ok(())
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

    /// Returns `true` if a request of ours is not answered: the peer's next KeyUpdate is the
    /// answer.
    #[must_use]
    pub const fn awaits_update(&self) -> bool {
        !self.rekey.may_request()
    }

    /// Notes a KeyUpdate of the peer, which answers our request if there is one, and answers it if
    /// it requests that. `now` is a time on the clock of [`SessionSender::write`].
    ///
    /// # Errors
    /// Returns the errors of [`SessionSender::key_update`].
    pub fn take_peer_update(&mut self, reply: Reply, now: Duration) -> Result<(), Error> {
        self.schedule.set_time(now);
        self.rekey = self.rekey.on(TxRekeyEvent::PeerUpdated)?;
        self.owed |= reply == Reply::Requested && self.ending == SendEnding::Open;
        self.answer_peer_update()
    }

    /// Seals a KeyUpdate if the peer has requested one and there is room; otherwise does nothing.
    /// One KeyUpdate answers all requests before it.
    ///
    /// # Errors
    /// Returns the errors of [`SessionSender::key_update`].
    pub fn answer_peer_update(&mut self) -> Result<(), Error> {
        self.answer_within(CALM)
    }

    /// Answers the peer's request if at most `calm` wire bytes are waiting to be sent.
    fn answer_within(&mut self, calm: usize) -> Result<(), Error> {
        if !self.owed || self.ending != SendEnding::Open || self.free(calm) < SPARE {
            return Ok(());
        }
        if !self.may_update() {
            // RFC 9846 §4.7.3: the request is ignored, and the limit of the key ends the connection.
            self.owed = false;
            self.setting.stats.add(Counter::TlsTxRekeyLimit);
            return Ok(());
        }
        self.update_key(Reply::NotRequested)?;
        self.setting.stats.add(Counter::TlsTxRekeyAnswer);
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

    fn update_key_if_due(&mut self) -> Result<(), Error> {
        let Some(reason) = self.reason_to_update() else {
            return Ok(());
        };
        if self.free(self.setting.unsent.most) < SPARE {
            return Ok(());
        }
        let ask = self.setting.policy.rekey_peer;
        self.seal_key_update(if ask {
            Reply::Requested
        } else {
            Reply::NotRequested
        })?;
        self.setting.stats.add(reason);
        Ok(())
    }

    /// Returns the counter for the reason why the key has to change now, if it has to and may.
    fn reason_to_update(&mut self) -> Option<Counter> {
        if self.sealer.version() != TLS13 {
            return None;
        }
        if self.schedule.is_newly_postponed() {
            self.setting.stats.add(Counter::TlsTxRekeyPostponed);
        }
        let by_records = self
            .sealer
            .needs_rekey()
            .then_some(Counter::TlsTxRekeyRecords);
        let reason = by_records.or_else(|| self.schedule.due())?;
        self.may_update().then_some(reason)
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
