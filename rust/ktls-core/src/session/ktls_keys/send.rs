//! The sending direction: when a KeyUpdate is due, and how far it has come.

use std::time::Duration;

use super::KtlsKeys;
use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::Error;
use crate::rekey::{Reply, TxRekey, TxRekeyEvent};
use crate::session::SendEnding;
use crate::session::key_update_schedule::RekeySchedule;
use crate::suite::{Cipher, KeyLimits};
use crate::wire::MAX_PLAINTEXT;

/// The keys of the sending direction.
pub(in crate::session) struct KtlsSendKeys {
    pub(in crate::session) rekey: TxRekey,
    pub(in crate::session) schedule: RekeySchedule,
    pub(in crate::session) cipher: &'static Cipher,
    pub(in crate::session) limits: KeyLimits,
    pub(in crate::session) generation: u64,
    /// The number of the next record, or more: calls are counted, not records.
    pub(in crate::session) records: u64,
    pub(in crate::session) rekey_peer: bool,
    pub(in crate::session) ending: SendEnding,
    /// The KeyUpdate that is under way, with the key behind it.
    pub(in crate::session) under_way: Option<KeyUpdateUnderWay>,
    /// The peer has requested a KeyUpdate that was not sent yet.
    pub(in crate::session) is_owed: bool,
}

/// A KeyUpdate whose next key is derived and not installed yet.
pub(in crate::session) struct KeyUpdateUnderWay {
    reply: Reply,
    next: CryptoInfo,
    /// The socket has sealed the message: from here on only the next key may seal.
    is_sealed: bool,
}

/// How much may be sent before the key has to change.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KtlsSendLimits {
    /// Whether a KeyUpdate is due now, before any data.
    pub is_update_due: bool,
    /// The most bytes of plaintext until the next check. It is above 0.
    pub bytes: u64,
}

impl KtlsSendKeys {
    /// Takes note of a KeyUpdate of the peer. Returns `true` if it was the answer to a request of
    /// ours.
    pub(super) fn take_peer_update(&mut self, reply: Reply) -> bool {
        let was_requested = !self.rekey.may_request();
        // The table has an answer for `PeerUpdated` in every state.
        self.rekey = self.rekey.on(TxRekeyEvent::PeerUpdated).unwrap_or_default();
        self.is_owed |= reply == Reply::Requested && self.ending == SendEnding::Open;
        was_requested
    }

    pub(super) const fn end_failed(&mut self) {
        self.ending = SendEnding::Failed;
        self.is_owed = false;
    }

    fn check_open(&self) -> Result<(), Error> {
        match self.ending {
            SendEnding::Open => Ok(()),
            SendEnding::Closed => Err(Error::SendClosed),
            SendEnding::Failed => Err(Error::Dead),
        }
    }
}

impl KtlsKeys {
    /// Returns how much may be sent under the key in use at `now`.
    ///
    /// # Errors
    /// - [`Error::SendClosed`] after close_notify.
    /// - [`Error::Dead`] after a failure.
    /// - [`Error::KeyExhausted`] in TLS 1.2, whose keys cannot change, at the limit of the AEAD.
    pub fn send_limits(&mut self, now: Duration) -> Result<KtlsSendLimits, Error> {
        let is_tls13 = self.is_tls13();
        let tx = &mut self.tx;
        tx.check_open()?;
        tx.schedule.set_time(now);
        let KeyLimits { soft, hard } = tx.limits;
        let bytes = tx.schedule.bytes_left();
        if is_tls13 {
            let records = soft.saturating_sub(tx.records);
            return Ok(KtlsSendLimits {
                is_update_due: tx.is_owed || tx.under_way.is_some() || records == 0 || bytes == 0,
                bytes: bytes
                    .min(records.saturating_mul(MAX_PLAINTEXT as u64))
                    .max(1),
            });
        }
        // One record is kept for the last alert.
        match hard.saturating_sub(tx.records).saturating_sub(1) {
            0 => Err(Error::KeyExhausted { limit: hard }),
            left => Ok(KtlsSendLimits {
                is_update_due: false,
                bytes: left.saturating_mul(MAX_PLAINTEXT as u64),
            }),
        }
    }

    /// Counts `len` bytes of application data that one call of the socket has taken.
    pub fn note_sent(&mut self, len: usize) {
        let records = len.div_ceil(MAX_PLAINTEXT).max(1) as u64;
        self.tx.records = self.tx.records.saturating_add(records);
        self.tx.schedule.note_sealed(len as u64);
    }

    /// Sets the number of the next record, as the socket reports it.
    pub const fn set_send_number(&mut self, number: u64) {
        self.tx.records = number;
    }

    /// Returns the cipher of both directions.
    #[must_use]
    pub const fn cipher(&self) -> &'static Cipher {
        self.tx.cipher
    }

    /// Ends the sending direction: TCP takes nothing more.
    pub const fn end_sending(&mut self) {
        self.tx.end_failed();
    }

    /// Returns the number of the next record that we send, or a greater one: without
    /// [`KtlsKeys::set_send_number`], calls are counted as records.
    #[must_use]
    pub const fn send_number(&self) -> u64 {
        self.tx.records
    }

    /// Returns `true` if the peer has requested a KeyUpdate that was not sent yet.
    #[must_use]
    pub const fn owes_update(&self) -> bool {
        self.tx.is_owed
    }

    /// Returns the reply that a KeyUpdate asks for which no caller has asked for.
    #[must_use]
    pub const fn usual_reply(&self) -> Reply {
        // An answer to the peer never requests another one (RFC 8446 §4.6.3).
        Reply::requested_if(self.tx.rekey_peer && !self.tx.is_owed)
    }

    /// Prepares a KeyUpdate. Returns the request that it contains, and the key to install behind
    /// it.
    ///
    /// Until [`KtlsKeys::note_send_key_installed`] every call returns the same key. While a request
    /// of ours is not answered, the KeyUpdate asks for no answer, whatever `reply` says (RFC 9846
    /// §4.7.3).
    ///
    /// # Errors
    /// [`Error::NoRekeyIn12`], [`Error::SendClosed`], [`Error::Dead`], and the errors of
    /// [`KeySource::next`](super::KeySource::next). Nothing has changed then.
    pub fn prepare_key_update(
        &mut self,
        reply: Reply,
        now: Duration,
    ) -> Result<(Reply, CryptoInfo), Error> {
        if !self.is_tls13() {
            return Err(Error::NoRekeyIn12);
        }
        self.tx.check_open()?;
        self.tx.schedule.set_time(now);
        let mut under_way = match self.tx.under_way.take() {
            Some(under_way) => under_way,
            None => KeyUpdateUnderWay {
                reply,
                next: self.next_key(Direction::Tx)?,
                is_sealed: false,
            },
        };
        if !under_way.is_sealed {
            under_way.reply = if self.tx.rekey.may_request() {
                reply
            } else {
                Reply::NotRequested
            };
        }
        let prepared = (under_way.reply, under_way.next.clone());
        self.tx.under_way = Some(under_way);
        Ok(prepared)
    }

    /// Returns `true` if the KeyUpdate that was prepared is sealed: it must not be sent again, and
    /// nothing may be sent before the next key is installed.
    #[must_use]
    pub fn is_key_update_sealed(&self) -> bool {
        let under_way = self.tx.under_way.as_ref();
        under_way.is_some_and(|update| update.is_sealed)
    }

    /// Notes that the socket has sealed the KeyUpdate that was prepared. It answers all requests of
    /// the peer that were received before.
    pub fn note_key_update_sealed(&mut self) {
        if let Some(under_way) = &mut self.tx.under_way
            && !under_way.is_sealed
        {
            under_way.is_sealed = true;
            self.tx.is_owed = false;
            // Nothing is being sent, so the table has a next state.
            let start = TxRekeyEvent::Start(under_way.reply);
            self.tx.rekey = self.tx.rekey.on(start).unwrap_or_default();
        }
    }

    /// Notes that the key behind the KeyUpdate is installed.
    pub fn note_send_key_installed(&mut self) {
        let Some(under_way) = self.tx.under_way.take() else {
            return;
        };
        self.tx.records = under_way.next.rec_seq;
        self.tx.generation += 1;
        self.tx.schedule.note_key_update();
        // The table has an answer for `KeyInstalled` in every state.
        self.tx.rekey = self
            .tx
            .rekey
            .on(TxRekeyEvent::KeyInstalled)
            .unwrap_or_default();
    }

    /// Notes that close_notify was sent: nothing more may be sent.
    pub fn note_close_notify(&mut self) {
        if self.tx.ending == SendEnding::Open {
            self.tx.ending = SendEnding::Closed;
        }
        self.tx.is_owed = false;
    }

    /// Returns how far the sending direction is from its end.
    #[must_use]
    pub const fn send_ending(&self) -> SendEnding {
        self.tx.ending
    }
}
