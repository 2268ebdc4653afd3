//! The receiving half of a session: wire bytes in, application data and events out.
//!
//! # Theory of operation
//!
//! The driver owns the socket and the clock. It puts wire bytes into [`SessionReceiver::room`], and
//! calls [`SessionReceiver::read`] for application data and [`SessionReceiver::poll`] for the
//! [`SessionEvent`]s on which the sending half has to act.
//!
//! **The path of a record.** `open_next` handles the record at the head of `wire`. [`Framing`]
//! finds its end and checks its header once, and returns a token that is passed on. If several
//! records are there and opening them together takes less time, they are opened into the caller's
//! buffer as one group. Any other record is opened alone. It is opened into the caller's buffer if
//! its inner plaintext fits there, including type and padding; otherwise into `rest`, from which
//! this read and the next ones copy. A read that has data already leaves such a record sealed for
//! the next read, which may have a larger buffer. `accept_record` checks the opened record: whether
//! it may interrupt a message (RFC 8446 §5.1), and its length (§5.4). Then data is delivered, and
//! handshake fragments and alerts are handled in `control`.
//!
//! **KeyUpdates.** Only the [`HandshakeAssembler`] finds KeyUpdates, because it assembles every
//! message anyway, including those that span records, and checks whether it is allowed. The opener
//! therefore has no scanner. Bytes behind a KeyUpdate in its record are an error, so that a
//! KeyUpdate always ends at a record boundary. The call that reads the KeyUpdate derives and
//! installs the next key before it opens another record. There is no state in between: if this
//! fails, the receiver has failed for good.
//!
//! **Order of results.** Reading stops at an event, and nothing more is opened until the event is
//! polled. Data that was read before the event is delivered by the same call. The driver polls
//! after every read, so that the answer to a KeyUpdate is sent before our next data. The end of the
//! stream and errors are not events but results of `read`, returned once all data before them is
//! delivered. They are final. Until then the record that caused them stays in `wire` and is counted
//! by [`SessionReceiver::pending`].
//!
//! **Wiping.** Only delivered application data stays in the caller's buffer. Handshake messages and
//! alerts are moved to memory that is wiped on drop, so that no caller's buffer keeps a session
//! ticket. The plaintext of a refused record is overwritten, and so are content types and padding.
//! `rest` wipes the bytes that are taken out of it.

mod hand_over;
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

pub use hand_over::{SettleOutcome, UnreadBytes};
pub(super) use key_updates_and_alerts::AlertEffect;

/// Opens the records of a session's peer, and acts on all that are not application data.
pub struct SessionReceiver {
    opener: Opener,
    keys: Box<dyn KeySource>,
    setting: SessionSettings,
    /// Received bytes, still sealed.
    wire: Fifo,
    /// The number of wire bytes to ask for; doubled each time that many arrive.
    read_ahead: usize,
    /// The length of the last [`SessionReceiver::room`].
    asked: usize,
    /// Plaintext of a record that did not fit into the caller's buffer.
    rest: Fifo,
    messages: HandshakeAssembler,
    storm: StormGuard,
    group_size: GroupSize,
    /// The event to be polled. Nothing is opened until [`SessionReceiver::poll`] takes it.
    event: Option<SessionEvent>,
    state: ReceiverState,
    /// The length of the close_notify at the head of `wire`; 0 once the end was delivered.
    closing_record: usize,
    data: u64,
    records: u64,
}

/// An event of the receiving half on which the sending half has to act.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionEvent {
    /// The peer sent a KeyUpdate, and its next key is in use. Pass the reply to
    /// [`SessionSender::take_peer_update`](super::SessionSender::take_peer_update).
    KeyUpdate(Reply),
    /// The peer of a TLS 1.2 session wants to renegotiate. Refuse with
    /// [`SessionSender::refuse_renegotiation`](super::SessionSender::refuse_renegotiation).
    Renegotiation,
}

/// The result of one [`SessionReceiver::read`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionRead {
    /// This many bytes of application data are at the start of the buffer.
    Data(NonZeroUsize),
    /// An event comes before any data: call [`SessionReceiver::poll`].
    EventFirst,
    /// More wire bytes are needed.
    NeedMore,
    /// The peer sent close_notify: no more data follows.
    EndOfStream,
}

/// Whether records are opened, and why not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum ReceiverState {
    /// Records are opened.
    Open,
    /// The peer sent close_notify.
    Closed,
    /// An error of the peer has ended the connection.
    Failed(Error),
}

/// The longest record that RFC 5246 allows, in bytes with its header.
const MAX_RECORD: usize = MAX_PLAINTEXT + 2048 + 5;
/// The fewest bytes to read ahead: two records.
const MIN_READ_AHEAD: usize = 2 * MAX_RECORD;
/// The most bytes to read ahead.
const MAX_READ_AHEAD: usize = (256 << 10) + MAX_RECORD;

impl SessionReceiver {
    /// Makes a receiver that starts under the key of `info`. `received` are bytes that were
    /// received after the handshake.
    ///
    /// # Errors
    /// [`Error::CipherMissing`] if the provider does not have the cipher.
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

    /// Returns the memory for the next wire bytes after [`SessionRead::NeedMore`]. It is never
    /// empty. If the peer keeps sending enough, it holds a little more than `wanted` bytes of
    /// plaintext.
    pub fn room(&mut self, wanted: usize) -> &mut [u8] {
        let enough = wanted.saturating_add(MAX_RECORD).max(MIN_READ_AHEAD);
        self.asked = self.read_ahead.min(enough);
        self.wire.space(self.asked)
    }

    /// Appends the first `count` bytes of the last [`SessionReceiver::room`] to the wire bytes.
    pub fn filled(&mut self, count: usize) {
        self.wire.commit(count);
        if count == self.asked {
            self.read_ahead = MAX_READ_AHEAD.min(2 * self.read_ahead);
        }
    }

    /// Opens records and writes their application data into `out`, until `out` is full, an event
    /// occurs, or more wire bytes are needed.
    ///
    /// `now` is a time on any clock that does not go back.
    ///
    /// # Errors
    /// [`Error::NoRoom`] if `out` is empty; nothing is changed then. Otherwise the error of the
    /// peer, after all data before it. The connection cannot continue, and every further read
    /// returns the same error.
    pub fn read(&mut self, out: &mut [u8], now: Duration) -> Result<SessionRead, Error> {
        self.read_up_to(out.len(), out, now)
    }

    /// Reads up to `most` bytes into a buffer that may be longer. A buffer of the size that
    /// [`SessionReceiver::readable`] returns has room for the content type of the last record, so
    /// that the record is opened in place. See [`SessionReceiver::read`].
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

    /// Takes the event at which reading has stopped, if there is one.
    ///
    /// Call it after each read, even after one that delivered data: the sending half has to answer
    /// a KeyUpdate before it sends more data.
    #[must_use]
    pub const fn poll(&mut self) -> Option<SessionEvent> {
        self.event.take()
    }

    /// Checks that the stream may end here. Call it at the end of the TCP stream.
    ///
    /// # Errors
    /// [`Error::Truncated`] if no close_notify was read.
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

    /// Excuses the KeyUpdate that was polled last. It answers our request, so it does not count
    /// against [`KeyUpdateLimit`](super::KeyUpdateLimit).
    pub const fn excuse_key_update(&mut self) {
        self.storm.excuse_key_update();
    }

    /// Returns the number of key updates of the peer.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.opener.generation()
    }

    /// Returns the bytes of application data that were opened.
    #[must_use]
    pub const fn data(&self) -> u64 {
        self.data
    }

    /// Returns the number of records opened, including those of KeyUpdates and alerts.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }

    /// Returns why nothing was read.
    fn tell_state(&mut self) -> Result<SessionRead, Error> {
        match self.state {
            ReceiverState::Open => Ok(SessionRead::NeedMore),
            ReceiverState::Closed => {
                // The bytes behind the close_notify are not TLS: `take_leftover` returns them.
                self.wire.consume(std::mem::take(&mut self.closing_record));
                Ok(SessionRead::EndOfStream)
            }
            ReceiverState::Failed(error) => {
                // The error is returned: the record that caused it and the bytes behind it are
                // of no use any more.
                self.wire.consume(self.wire.len());
                Err(error)
            }
        }
    }

    /// Moves the data behind the caller's limit to `rest`. It is no longer than the type of a
    /// record.
    fn keep_excess(&mut self, excess: &mut [u8]) {
        if !excess.is_empty() {
            self.rest.push(excess);
            wipe(excess);
        }
    }

    /// Copies as much of `rest` as fits into `out`, and returns the number of bytes.
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
