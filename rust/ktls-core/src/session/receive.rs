//! The receiving half of a session: wire bytes in, application data and events out.
//!
//! # Theory of operation
//!
//! The driver owns the socket and the clock. It puts wire bytes into [`SessionReceiver::room`] and takes
//! two kinds of output, each by its own call: [`SessionReceiver::read`] delivers application data, and
//! [`SessionReceiver::poll`] returns the [`SessionEvent`]s on which the sending half has to act.
//!
//! **How a record goes through.** `open_next` handles the record at the head of `wire`. [`Framing`] finds
//! its end and judges its header, once: the token that it returns is passed on. If several records are there
//! and opening them together takes less time, they are opened into the caller's buffer as one group. Any
//! other record is opened alone: into the caller's buffer if its inner plaintext fits there, with type and
//! padding; otherwise into `rest`, from which this read and the next ones copy. A read that has data already
//! leaves such a record sealed for the next read, which may have a larger buffer. The opened record is
//! checked (`accept_record`: RFC 8446 §5.1 on what may interrupt a message, §5.4 on its length), and data,
//! handshake fragments and alerts go their ways from there.
//!
//! **KeyUpdates.** The [`HandshakeAssembler`] alone decides what is a KeyUpdate: it has to put every message
//! together anyway, also one that is cut over records, and it knows what to refuse. The opener therefore has
//! no scanner. Bytes behind a KeyUpdate in its record are an error, so that a KeyUpdate always ends at a
//! record border. The next key is derived and installed before the call that read the KeyUpdate opens
//! anything more: no state lies between, and if it fails, the receiver has failed for good.
//!
//! **What is told, and when.** Reading stops at an event; nothing more is opened until it is polled. Data
//! that was read before it is delivered in the same call. The driver polls after every read, so that the
//! answer to a KeyUpdate leaves before our next data. The end of the stream and errors are not events but
//! results of `read`, and come only once all data in front of them is delivered. They are final. The record
//! that brought them stays in `wire` until then, and so does every count of [`SessionReceiver::pending`].
//!
//! **What is wiped.** Nothing but delivered application data stays in the caller's buffer: handshake
//! messages and alerts are moved to memory that is wiped on drop (no caller's buffer keeps a session
//! ticket), the plaintext of a refused record is overwritten, and so are type and padding. `rest` wipes
//! what was taken out of it.

mod key_updates_and_alerts;
mod open;
mod pending;

use std::num::NonZeroUsize;
use std::time::Duration;

use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::fifo::Fifo;
use crate::record::{Framing, GroupSize, Opener};
use crate::rekey::Reply;
use crate::session::handshake::HandshakeAssembler;
use crate::session::key_update_storm::StormGuard;
use crate::session::{KeySource, SessionSettings};
use crate::stats::Counter;
use crate::wiped_memory::wipe;
use crate::wire::MAX_PLAINTEXT;

/// Opens what the peer of a session sends, and acts on everything that is not application data.
pub struct SessionReceiver {
    opener: Opener,
    keys: Box<dyn KeySource>,
    setting: SessionSettings,
    /// Sealed bytes as they came.
    wire: Fifo,
    /// How many wire bytes to ask for; doubled each time that as many come.
    read_ahead: usize,
    /// Size of the last [`SessionReceiver::room`].
    asked: usize,
    /// Plaintext of a record that did not fit into the caller's buffer.
    rest: Fifo,
    messages: HandshakeAssembler,
    storm: StormGuard,
    group_size: GroupSize,
    /// Waits for [`SessionReceiver::poll`]; nothing is opened meanwhile.
    event: Option<SessionEvent>,
    state: ReceiverState,
    /// The length of the close_notify at the head of `wire`; 0 once the end was delivered.
    closing_record: usize,
    data: u64,
    records: u64,
}

/// What the sending half has to act on, because the peer asked for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionEvent {
    /// The peer sent a KeyUpdate, and its next key is in use: pass this to
    /// [`SessionSender::take_peer_update`](super::SessionSender::take_peer_update).
    KeyUpdate(Reply),
    /// The peer of a TLS 1.2 session wants to renegotiate: refuse with
    /// [`SessionSender::refuse_renegotiation`](super::SessionSender::refuse_renegotiation).
    Renegotiation,
}

/// The result of one [`SessionReceiver::read`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionRead {
    /// This many bytes of application data are at the start of the buffer.
    Data(NonZeroUsize),
    /// There is no data before an event, which [`SessionReceiver::poll`] returns.
    EventFirst,
    /// More wire bytes are needed.
    NeedMore,
    /// The peer sent close_notify: no data will come any more.
    EndOfStream,
}

/// Whether records are still opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReceiverState {
    /// They are.
    Open,
    /// The peer sent close_notify.
    Closed,
    /// The peer did something that ends the connection.
    Failed(Error),
}

/// Longest record that RFC 5246 lets through, with its header.
const MAX_RECORD: usize = MAX_PLAINTEXT + 2048 + 5;
/// The least to read ahead: two records.
const MIN_READ_AHEAD: usize = 2 * MAX_RECORD;
/// The most to read ahead.
const MAX_READ_AHEAD: usize = (256 << 10) + MAX_RECORD;

impl SessionReceiver {
    /// Starts under the key of `info`; `received` are bytes that came behind the handshake.
    ///
    /// # Errors
    /// [`Error::CipherMissing`]
    pub fn new(
        info: CryptoInfo,
        keys: Box<dyn KeySource>,
        setting: &SessionSettings,
        received: &[u8],
    ) -> Result<Self, Error> {
        let mut wire = Fifo::default();
        wire.push(received);
        let messages = HandshakeAssembler::new(info.version(), keys.is_client());
        let opener = Opener::without_scanner(info, setting.provider, Framing::rfc)?;
        setting.stats.add(Counter::TlsRxSw);
        setting.stats.add(Counter::TlsCurrRxSw);
        Ok(Self {
            opener,
            keys,
            setting: setting.clone(),
            wire,
            read_ahead: MIN_READ_AHEAD,
            asked: 0,
            rest: Fifo::for_plaintext(),
            messages,
            storm: StormGuard::new(setting.policy.key_updates),
            group_size: GroupSize::default(),
            event: None,
            state: ReceiverState::Open,
            closing_record: 0,
            data: 0,
            records: 0,
        })
    }

    /// Returns the memory to which the next wire bytes go after [`SessionRead::NeedMore`]. It is never
    /// empty, and holds a little more than `wanted` bytes of plaintext if the peer keeps sending that much.
    pub fn room(&mut self, wanted: usize) -> &mut [u8] {
        let enough = wanted.saturating_add(MAX_RECORD).max(MIN_READ_AHEAD);
        self.asked = self.read_ahead.min(enough);
        self.wire.space(self.asked)
    }

    /// Takes over the first `count` bytes of the last [`SessionReceiver::room`].
    pub fn filled(&mut self, count: usize) {
        self.wire.commit(count);
        if count == self.asked {
            self.read_ahead = MAX_READ_AHEAD.min(2 * self.read_ahead);
        }
    }

    /// Opens records and puts their application data into `out`, until `out` is full, an event comes, or
    /// more wire bytes are needed.
    ///
    /// `now` is a time on any clock that does not go back.
    ///
    /// # Errors
    /// [`Error::NoRoom`] for an empty `out`; nothing changed then. Otherwise what the peer did wrong, after
    /// all data in front of it: the connection cannot go on, and every further read returns the same.
    pub fn read(&mut self, out: &mut [u8], now: Duration) -> Result<SessionRead, Error> {
        self.read_up_to(out.len(), out, now)
    }

    /// Reads up to `most` bytes, as [`SessionReceiver::read`] does, into a buffer that may be longer. A buffer
    /// of the size that [`SessionReceiver::readable`] returns has room for the type of the last record, so that
    /// the record is opened in place.
    ///
    /// # Errors
    /// Returns the errors of [`SessionReceiver::read`].
    pub fn read_up_to(
        &mut self,
        most: usize,
        out: &mut [u8],
        now: Duration,
    ) -> Result<SessionRead, Error> {
        if out.is_empty() {
            return Err(Error::NoRoom { need: 1, have: 0 });
        }
        let room = out.len().min(most.saturating_add(self.type_len()));
        let out = &mut out[..room];
        let written = self.open_records(out, now);
        let (out, excess) = out.split_at_mut(room.min(most));
        let count = if written == 0 {
            self.deliver_rest(out)
        } else {
            self.keep_excess(&mut excess[..written.saturating_sub(most)]);
            written.min(most)
        };
        match NonZeroUsize::new(count) {
            Some(count) => Ok(SessionRead::Data(count)),
            None if self.event.is_some() => Ok(SessionRead::EventFirst),
            None => self.tell_state(),
        }
    }

    /// Takes the event at which reading has stopped, if it has.
    ///
    /// Call it after each read, also after one that delivered data: the sending half has to answer a
    /// KeyUpdate before it sends more data.
    #[must_use]
    pub const fn poll(&mut self) -> Option<SessionEvent> {
        self.event.take()
    }

    /// Checks that the stream may end where it does: at the end of what the peer sent.
    ///
    /// # Errors
    /// [`Error::Truncated`] unless close_notify came first.
    pub fn check_end(&self) -> Result<(), Error> {
        if self.is_closed() {
            Ok(())
        } else {
            Err(Error::Truncated)
        }
    }

    /// Returns `true` if the peer has sent close_notify and all data in front of it was delivered.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.is_closed() && self.rest.is_empty()
    }

    fn is_closed(&self) -> bool {
        self.state == ReceiverState::Closed
    }

    /// Excuses the KeyUpdate that was polled last: it answers a request of ours, so it does not count
    /// against [`KeyUpdateLimit`](super::KeyUpdateLimit).
    pub const fn excuse_key_update(&mut self) {
        self.storm.excuse_key_update();
    }

    /// Key updates of the peer.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.opener.generation()
    }

    /// Bytes of application data opened.
    #[must_use]
    pub const fn data(&self) -> u64 {
        self.data
    }

    /// Records opened, those of KeyUpdates and alerts included.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Says why nothing was read.
    fn tell_state(&mut self) -> Result<SessionRead, Error> {
        match self.state {
            ReceiverState::Open => Ok(SessionRead::NeedMore),
            ReceiverState::Closed => {
                // What follows the close_notify is not TLS any more: `take_leftover` returns it.
                self.wire.consume(std::mem::take(&mut self.closing_record));
                Ok(SessionRead::EndOfStream)
            }
            ReceiverState::Failed(error) => {
                // What was kept for the error, and what came behind it, is of no use any more.
                self.wire.consume(self.wire.len());
                Err(error)
            }
        }
    }

    /// Moves data behind the caller's limit, which is shorter than the type of a record, to `rest`.
    fn keep_excess(&mut self, excess: &mut [u8]) {
        if !excess.is_empty() {
            self.rest.push(excess);
            wipe(excess);
        }
    }

    /// Copies from `rest` what fits into `out`; returns how many bytes.
    fn deliver_rest(&mut self, out: &mut [u8]) -> usize {
        let count = self.rest.len().min(out.len());
        out[..count].copy_from_slice(&self.rest.bytes()[..count]);
        self.rest.consume(count);
        count
    }
}

impl Drop for SessionReceiver {
    fn drop(&mut self) {
        self.setting.stats.sub(Counter::TlsCurrRxSw);
    }
}
