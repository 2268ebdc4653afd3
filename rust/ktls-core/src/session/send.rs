//! The sending half.

use std::time::Duration;

use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::{Alert, Error};
use crate::fifo::{Fifo, FifoPool};
use crate::record::{RecordPlaintext, Sealer};
use crate::rekey::{Reply, TxRekey, TxRekeyEvent};
use crate::session::schedule::RekeySchedule;
use crate::session::{KeySource, SessionSettings};
use crate::stats::Counter;
use crate::suite::KeyLimits;
use crate::wire::{ContentType, MAX_PLAINTEXT, TLS13};

/// Seals what the application writes, with KeyUpdates where they are due.
pub struct SessionSender {
    sealer: Sealer,
    rekey: TxRekey,
    keys: Box<dyn KeySource>,
    setting: SessionSettings,
    wire: Fifo,
    schedule: RekeySchedule,
    /// The peer asked for a KeyUpdate that has not been sent.
    owed: bool,
    tail: SendEnding,
    data: u64,
    records: u64,
}

/// How far the sending direction is from its end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendEnding {
    /// Data may be sent.
    Open,
    /// close_notify has been sealed.
    Closed,
    /// A fatal alert has been sealed, or the connection is gone.
    Failed,
}

/// What the peer is told at the end, behind all data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastWord {
    /// That this was all.
    CloseNotify,
    /// That something is missing.
    Alert(Alert),
}

/// Room that data leaves for KeyUpdates and alerts.
const SPARE: usize = 256;
/// Wire bytes held: bounds the memory of a connection. With more at a time, second level caches overflow.
const WIRE: usize = wire_of(16);
/// Wire bytes behind which a KeyUpdate that is not due waits: the peer does not read.
const CALM: usize = wire_of(4);

const WARNING: u8 = 1;
const FATAL: u8 = 2;

impl SessionSender {
    /// Starts under `info`.
    ///
    /// # Errors
    /// [`Error::CipherMissing`]
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
            keys,
            setting: setting.clone(),
            wire: Fifo::default(),
            schedule,
            owed: false,
            tail: SendEnding::Open,
            data: 0,
            records: 0,
        })
    }

    /// Seals the front of `data` as far as there is room, renewing the key where it is due.
    ///
    /// `now` is a time on any clock that does not go back. Returns the plaintext bytes taken: 0 while
    /// [`SessionSender::wire`] must be sent first.
    ///
    /// # Errors
    /// [`Error::SendClosed`], [`Error::Dead`]; those of [`SessionSender::key_update`], and
    /// [`Error::KeyExhausted`] in TLS 1.2, whose keys cannot be renewed. Nothing of `data` is taken then.
    pub fn write(&mut self, data: &[u8], now: Duration) -> Result<usize, Error> {
        self.schedule.tell_time(now);
        self.check_open()?;
        self.settle()?;
        if self.owed {
            // The answer goes out before any data, and what waits goes before the answer.
            return Ok(0);
        }
        let mut taken = 0;
        while taken < data.len() {
            match self.seal_next(&data[taken..]) {
                Ok(0) => break,
                Ok(count) => taken += count,
                // What was sealed is taken: the error comes again, and then alone.
                Err(_) if taken > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(taken)
    }

    fn seal_next(&mut self, data: &[u8]) -> Result<usize, Error> {
        self.renew_if_due()?;
        self.seal_some(data)
    }

    /// Sends a KeyUpdate and switches our key (RFC 8446 §4.6.3).
    ///
    /// A request while one is outstanding goes out without (RFC 9846 §4.7.3). `now` is a time on the
    /// clock of [`SessionSender::write`].
    ///
    /// # Errors
    /// [`Error::NoRekeyIn12`], [`Error::SendClosed`], [`Error::Dead`]; [`Error::NoRoom`] while too much
    /// waits to be sent. Nothing changed then.
    pub fn key_update(&mut self, reply: Reply, now: Duration) -> Result<(), Error> {
        self.schedule.tell_time(now);
        self.update(reply)
    }

    fn update(&mut self, reply: Reply) -> Result<(), Error> {
        self.check_open()?;
        if self.sealer.version() != TLS13 {
            return Err(Error::NoRekeyIn12);
        }
        self.check_room(reply.message().len(), CALM)?;
        self.renew(reply)
    }

    /// All of a key update but the question whether it may be.
    fn renew(&mut self, reply: Reply) -> Result<(), Error> {
        let reply = if self.rekey.may_request() {
            reply
        } else {
            Reply::NotRequested
        };
        let installed = self
            .rekey
            .on(TxRekeyEvent::Start(reply))?
            .on(TxRekeyEvent::KeyInstalled)?;
        self.check_room(reply.message().len(), WIRE)?;
        let next = self.keys.next(Direction::Tx)?;
        let next = self.sealer.prepare(next, self.setting.provider)?;
        self.seal(ContentType::HANDSHAKE, &reply.message())?;

        // Nothing below may fail: the peer will switch.
        self.sealer.install(next);
        self.setting.stats.add(Counter::TlsTxRekeyOk);
        self.rekey = installed;
        self.schedule.renewed();
        self.owed = false;
        Ok(())
    }

    /// Room and a record number for one more control message, if at most so many bytes wait.
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

    /// True while a request of ours is outstanding: the next KeyUpdate of the peer answers it.
    #[must_use]
    pub const fn awaits_update(&self) -> bool {
        !self.rekey.may_request()
    }

    /// The peer has sent a KeyUpdate: it answers our request, and may want one in return. `now` is a
    /// time on the clock of [`SessionSender::write`].
    ///
    /// # Errors
    /// As [`SessionSender::key_update`].
    pub fn peer_updated(&mut self, reply: Reply, now: Duration) -> Result<(), Error> {
        self.schedule.tell_time(now);
        self.rekey = self.rekey.on(TxRekeyEvent::PeerUpdated)?;
        self.owed |= reply == Reply::Requested && self.tail == SendEnding::Open;
        self.settle()
    }

    /// Answers the peer's request as soon as there is room; one answer serves all that came before it.
    ///
    /// # Errors
    /// As [`SessionSender::key_update`].
    pub fn settle(&mut self) -> Result<(), Error> {
        if !self.owed || self.tail != SendEnding::Open || self.free(CALM) < SPARE {
            return Ok(());
        }
        self.update(Reply::NotRequested)
    }

    /// Says that no more will come. Saying it again changes nothing.
    ///
    /// # Errors
    /// [`Error::NoRoom`] while too much waits to be sent.
    pub fn close_notify(&mut self) -> Result<(), Error> {
        if self.tail == SendEnding::Open {
            self.seal(ContentType::ALERT, &[WARNING, Alert::CloseNotify.code()])?;
            self.tail = SendEnding::Closed;
        }
        Ok(())
    }

    /// Ends the direction with a fatal alert, if there is still one to be told.
    pub fn fail(&mut self, alert: Option<Alert>) {
        if let (Some(alert), SendEnding::Open) = (alert, self.tail) {
            // Without room for it the peer is not reading, and would not see it either.
            let _unsaid = self.seal(ContentType::ALERT, &[FATAL, alert.code()]);
        }
        self.tail = SendEnding::Failed;
    }

    /// The socket takes no more: what was sealed is lost, and nothing more can be.
    pub fn abandon(&mut self) {
        self.tail = SendEnding::Failed;
        self.wire.consume(self.wire.len());
    }

    /// Refuses a renegotiation of TLS 1.2 (RFC 5246 §7.2.2).
    ///
    /// # Errors
    /// [`Error::NoRoom`]
    pub fn refuse_renegotiation(&mut self) -> Result<(), Error> {
        if self.tail != SendEnding::Open {
            return Ok(());
        }
        self.seal(
            ContentType::ALERT,
            &[WARNING, Alert::NoRenegotiation.code()],
        )
    }

    /// Takes memory from `pool` for what will be sealed.
    pub fn borrow_memory(&mut self, pool: &mut FifoPool) {
        pool.lend(&mut self.wire);
    }

    /// Gives memory that holds nothing back to `pool`.
    pub fn return_memory(&mut self, pool: &mut FifoPool) {
        pool.collect(&mut self.wire);
    }

    /// Sealed bytes that wait to be sent.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        self.wire.bytes()
    }

    /// `count` bytes of [`SessionSender::wire`] were sent.
    pub fn wrote(&mut self, count: usize) {
        self.wire.consume(count);
    }

    /// Ends the direction, with a last word if one is still to be said, and hands over everything that
    /// waits to be sent.
    pub fn finish(&mut self, last_word: Option<LastWord>) -> Fifo {
        let mut unsent = std::mem::take(&mut self.wire);
        // Into a buffer that is empty now, so that there is room. What no record number is left for stays
        // unsaid: the peer finds the end without it.
        match last_word {
            Some(LastWord::CloseNotify) => drop(self.close_notify()),
            Some(LastWord::Alert(alert)) => self.fail(Some(alert)),
            None => {}
        }
        self.tail = SendEnding::Failed;
        let last = std::mem::take(&mut self.wire);
        unsent.push(last.bytes());
        unsent
    }

    /// How far the direction is from its end.
    #[must_use]
    pub const fn tail(&self) -> SendEnding {
        self.tail
    }

    /// Key updates done.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.sealer.generation()
    }

    /// Bytes of application data sealed.
    #[must_use]
    pub const fn data(&self) -> u64 {
        self.data
    }

    /// Records sealed.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.tail {
            SendEnding::Open => Ok(()),
            SendEnding::Closed => Err(Error::SendClosed),
            SendEnding::Failed => Err(Error::Dead),
        }
    }

    fn renew_if_due(&mut self) -> Result<(), Error> {
        let due = self.sealer.needs_rekey() || self.schedule.left() == 0;
        if !due || self.sealer.version() != TLS13 || self.free(WIRE) < SPARE {
            return Ok(());
        }
        let ask = self.setting.policy.rekey_peer;
        self.renew(if ask {
            Reply::Requested
        } else {
            Reply::NotRequested
        })
    }

    /// Seals as much under the key in use as there is room for, stopping where it must be renewed.
    fn seal_some(&mut self, data: &[u8]) -> Result<usize, Error> {
        let count = data
            .len()
            .min(self.fits(data.len()))
            .min(self.until_renewal()?);
        if count == 0 {
            return Ok(0);
        }
        self.seal(ContentType::APPLICATION_DATA, &data[..count])?;
        self.schedule.sealed(count as u64);
        self.data += count as u64;
        Ok(count)
    }

    /// Plaintext that there is room for: all of `len`, or else whole records. A short record only
    /// because the room ends would waste a tag and a system call.
    fn fits(&self, len: usize) -> usize {
        let room = self.free(WIRE).saturating_sub(SPARE);
        let overhead = self.sealer.overhead();
        let records = len.div_ceil(MAX_PLAINTEXT);
        if len + records * overhead <= room {
            return len;
        }
        room / (MAX_PLAINTEXT + overhead) * MAX_PLAINTEXT
    }

    /// How many bytes of wire still fit, if at most so many may wait.
    const fn free(&self, most: usize) -> usize {
        most.saturating_sub(self.wire.len())
    }

    /// Plaintext until the key must be renewed; one record is kept for the alert at the very end.
    fn until_renewal(&self) -> Result<usize, Error> {
        let KeyLimits { hard: limit, .. } = self.sealer.limits();
        let left = self.sealer.left().saturating_sub(1);
        if left == 0 {
            return Err(Error::KeyExhausted { limit });
        }
        let records = self.sealer.until_soft().max(1).min(left);
        let bytes = self.schedule.left().max(1);
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
        let have = self.free(WIRE);
        if need > have {
            return Err(Error::NoRoom { need, have });
        }
        let mut records = 0;
        let written = self
            .sealer
            .seal_batch(pieces, self.wire.space(need), |_| records += 1)?;
        self.wire.commit(written);
        self.records += records;
        Ok(())
    }
}

/// Wire bytes of full records, what they may cost, and the spare.
const fn wire_of(records: usize) -> usize {
    records * (MAX_PLAINTEXT + 64) + SPARE
}

impl Drop for SessionSender {
    fn drop(&mut self) {
        self.setting.stats.sub(Counter::TlsCurrTxSw);
    }
}
