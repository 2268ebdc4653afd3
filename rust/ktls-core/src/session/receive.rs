//! The receiving half.

mod pending;

use std::time::Duration;

use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::{Alert, Error};
use crate::fifo::Fifo;
use crate::key::InnerPlaintext;
use crate::record::{Framing, GroupSize, OpenedData, Opener};
use crate::rekey::Reply;
use crate::session::handshake::{HandshakeAssembler, HandshakeMessage};
use crate::session::storm::StormGuard;
use crate::session::{KeySource, SessionSettings};
use crate::stats::Counter;
use crate::wiped::{WipedBytes, wipe};
use crate::wire::{ContentType, MAX_PLAINTEXT, TLS13};

/// Opens what the peer sends and acts on everything that is not application data.
pub struct SessionReceiver {
    opener: Opener,
    keys: Box<dyn KeySource>,
    setting: SessionSettings,
    wire: Fifo,
    /// How much to read ahead: grows while that much comes.
    ahead: usize,
    /// How much was asked for last.
    asked: usize,
    /// Plaintext of a record that did not fit the caller's buffer.
    rest: Fifo,
    messages: HandshakeAssembler,
    storm: StormGuard,
    pace: GroupSize,
    /// What came behind data that was delivered first.
    held: Option<Result<SessionEvent, Error>>,
    closed: bool,
    data: u64,
    records: u64,
}

/// What [`SessionReceiver::advance`] came to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SessionEvent {
    /// So many bytes of application data are at the start of the buffer.
    Data(usize),
    /// More wire bytes are needed.
    NeedMore,
    /// The peer's KeyUpdate was read and its next key is in use: tell the [`super::SessionSender`].
    KeyUpdate(Reply),
    /// The peer wants to renegotiate TLS 1.2: refuse.
    Renegotiation,
    /// close_notify: no data will come any more.
    Closed,
}

/// Longest record that RFC 5246 lets through, with its header.
const MAX_RECORD: usize = MAX_PLAINTEXT + 2048 + 5;
/// Wire bytes read ahead: the least, which is two records, and the most.
const LEAST_AHEAD: usize = 2 * MAX_RECORD;
const MAX_READ_AHEAD: usize = (256 << 10) + MAX_RECORD;

impl SessionReceiver {
    /// Starts under `info`; `received` are bytes that came behind the handshake.
    ///
    /// # Errors
    /// [`Error::CipherMissing`]
    pub fn new(
        info: CryptoInfo,
        keys: Box<dyn KeySource>,
        setting: &SessionSettings,
        received: &[u8],
    ) -> Result<Self, Error> {
        let framing = Framing::rfc(info.cipher(), info.version());
        let mut wire = Fifo::default();
        wire.space(received.len()).copy_from_slice(received);
        wire.commit(received.len());
        let messages = HandshakeAssembler::new(info.version(), keys.is_client());
        let opener = Opener::with_framing(info, setting.provider, framing)?;
        setting.stats.add(Counter::TlsRxSw);
        setting.stats.add(Counter::TlsCurrRxSw);
        Ok(Self {
            opener,
            keys,
            setting: setting.clone(),
            wire,
            ahead: LEAST_AHEAD,
            asked: 0,
            rest: Fifo::for_plaintext(),
            messages,
            storm: StormGuard::new(setting.policy.key_updates),
            pace: GroupSize::default(),
            held: None,
            closed: false,
            data: 0,
            records: 0,
        })
    }

    /// Where the next bytes of the wire go after [`SessionEvent::NeedMore`]: some more than the `wanted` bytes of
    /// plaintext if so much may be there, and at least one.
    pub fn room(&mut self, wanted: usize) -> &mut [u8] {
        let enough = wanted.saturating_add(MAX_RECORD).max(LEAST_AHEAD);
        self.asked = self.ahead.min(enough);
        self.wire.space(self.asked)
    }

    /// So many bytes were put into [`SessionReceiver::room`].
    pub fn filled(&mut self, count: usize) {
        self.wire.commit(count);
        if count == self.asked {
            self.ahead = MAX_READ_AHEAD.min(2 * self.ahead);
        }
    }

    /// Opens records into `out` until there is something to tell.
    ///
    /// `now` is a time on any clock that does not go back. An empty `out` gets no data.
    ///
    /// # Errors
    /// What the peer did wrong, after the data in front of it; the connection cannot go on.
    pub fn advance(&mut self, out: &mut [u8], now: Duration) -> Result<SessionEvent, Error> {
        if !self.rest.is_empty() {
            return Ok(SessionEvent::Data(self.deliver_rest(out)));
        }
        if let Some(held) = self.held.take() {
            return held;
        }
        let mut written = 0;
        loop {
            let told = match self.open_data(&mut out[written..], now) {
                Some(count) => Ok(SessionEvent::Data(count)),
                None => self.step(&mut out[written..], written > 0, now),
            };
            if told == Err(Error::BadTag) {
                self.setting.stats.add(Counter::TlsDecryptError);
            }
            match told {
                Ok(SessionEvent::Data(0)) => {}
                Ok(SessionEvent::Data(count)) => written += count,
                told if written == 0 => return told,
                Ok(SessionEvent::NeedMore) => return Ok(SessionEvent::Data(written)),
                told => {
                    self.held = Some(told);
                    return Ok(SessionEvent::Data(written));
                }
            }
            if !self.rest.is_empty() {
                return Ok(SessionEvent::Data(self.deliver_rest(out)));
            }
        }
    }

    /// Application data from the records at the head, if several of them gain by it; the next one that
    /// is something else is left to [`SessionReceiver::step`].
    fn open_data(&mut self, out: &mut [u8], now: Duration) -> Option<usize> {
        if self.closed || !self.messages.at_boundary() {
            return None;
        }
        let longest = self.longest_inner();
        let OpenedData {
            records,
            consumed,
            written,
        } = self
            .opener
            .open_data(self.wire.bytes(), out, longest, &mut self.pace);
        self.wire.consume(consumed);
        self.records += records;
        self.storm.data(written, now);
        self.data += written as u64;
        (records > 0).then_some(written)
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// [`Error::Truncated`] unless close_notify came first.
    pub fn end_of_stream(&self) -> Result<(), Error> {
        if self.closed {
            Ok(())
        } else {
            Err(Error::Truncated)
        }
    }

    /// Opens the next record, if it is there. `OpenedData(0)`: nothing to tell, or it lies in `rest`.
    ///
    /// With `direct_only` a record that does not fit `out` is left for the next call.
    fn step(
        &mut self,
        out: &mut [u8],
        direct_only: bool,
        now: Duration,
    ) -> Result<SessionEvent, Error> {
        if self.closed {
            return Ok(SessionEvent::Closed);
        }
        let Some(frame) = self.opener.framing().deframe(self.wire.bytes())? else {
            return Ok(SessionEvent::NeedMore);
        };
        let inner_len = self.opener.inner_len(frame.len)?;
        let record = &self.wire.bytes()[..frame.len];
        if inner_len <= out.len() {
            let inner = self.opener.open(record, out)?;
            self.wire.consume(frame.len);
            let told = self.digest(inner, OpenInto::Direct(out), now);
            if told.is_err() {
                // Nothing of a record that is refused reaches the caller.
                out[..inner.len].fill(0);
            }
            return told;
        }
        if direct_only {
            return Ok(SessionEvent::NeedMore);
        }
        let inner = self.opener.open(record, self.rest.space(inner_len))?;
        self.wire.consume(frame.len);
        let told = self.digest(inner, OpenInto::Rest, now);
        if told.is_err() {
            wipe(self.rest.space(inner.len));
        }
        told
    }

    /// Acts on an opened record; its plaintext lies in `place`.
    fn digest(
        &mut self,
        inner: InnerPlaintext,
        place: OpenInto<'_>,
        now: Duration,
    ) -> Result<SessionEvent, Error> {
        self.records += 1;
        self.check_len(inner)?;
        let record_type = ContentType(inner.record_type);
        if !self.messages.at_boundary()
            && !matches!(record_type, ContentType::HANDSHAKE | ContentType::ALERT)
        {
            return Err(Error::Interleaved {
                record_type: record_type.0,
            });
        }
        if record_type == ContentType::APPLICATION_DATA {
            self.pace.speed_up();
            self.storm.data(inner.len, now);
            self.data += inner.len as u64;
            return Ok(SessionEvent::Data(match place {
                OpenInto::Direct(_) => inner.len,
                OpenInto::Rest => {
                    self.rest.commit(inner.len);
                    0
                }
            }));
        }
        // Copied, since it is short and rare, and no caller's buffer may keep a ticket.
        let message = match place {
            OpenInto::Direct(out) => take(out, inner.len),
            OpenInto::Rest => take(self.rest.space(inner.len), inner.len),
        };
        self.control(record_type, &message, now)
    }

    fn control(
        &mut self,
        record_type: ContentType,
        message: &[u8],
        now: Duration,
    ) -> Result<SessionEvent, Error> {
        match record_type {
            ContentType::HANDSHAKE | ContentType::ALERT if message.is_empty() => {
                Err(Error::EmptyFragment {
                    record_type: record_type.0,
                })
            }
            ContentType::HANDSHAKE => self.handshake(message, now),
            ContentType::ALERT => self.alert(message),
            ContentType(record_type) => Err(Error::UnexpectedRecord { record_type }),
        }
    }

    fn handshake(&mut self, fragment: &[u8], now: Duration) -> Result<SessionEvent, Error> {
        let mut event = SessionEvent::Data(0);
        let keys = &mut self.keys;
        self.messages.feed(fragment, |message| {
            match message {
                HandshakeMessage::Ticket(body) => keys.ticket(body)?,
                HandshakeMessage::KeyUpdate(reply) => event = SessionEvent::KeyUpdate(reply),
                HandshakeMessage::Renegotiation => event = SessionEvent::Renegotiation,
            }
            Ok(())
        })?;
        if let SessionEvent::KeyUpdate(_) = event {
            self.setting.stats.add(Counter::TlsRxRekeyReceived);
            self.storm.key_update(now)?;
            let next = self.keys.next(Direction::Rx)?;
            self.opener.follow(next, self.setting.provider)?;
            self.setting.stats.add(Counter::TlsRxRekeyOk);
        }
        Ok(event)
    }

    fn alert(&mut self, message: &[u8]) -> Result<SessionEvent, Error> {
        let &[level, code] = message else {
            return Err(Error::BadAlertLength { len: message.len() });
        };
        let warning_in_12 = self.opener.version() != TLS13 && level == WARNING;
        match Alert::from_code(code) {
            Some(Alert::CloseNotify) => {
                self.closed = true;
                Ok(SessionEvent::Closed)
            }
            Some(Alert::UserCanceled) => Ok(SessionEvent::Data(0)),
            _ if warning_in_12 => Ok(SessionEvent::Data(0)),
            _ => Err(Error::AlertReceived(code)),
        }
    }

    /// RFC 8446 §5.4: at most 2^14 + 1 with the type; RFC 5246 §6.2.3: at most 2^14.
    fn longest_inner(&self) -> usize {
        MAX_PLAINTEXT + usize::from(self.opener.version() == TLS13)
    }

    fn check_len(&self, inner: InnerPlaintext) -> Result<(), Error> {
        let max = self.longest_inner();
        if inner.inner_len > max {
            return Err(Error::PlaintextTooLong {
                len: inner.inner_len,
                max,
            });
        }
        Ok(())
    }

    fn deliver_rest(&mut self, out: &mut [u8]) -> usize {
        let count = self.rest.bytes().len().min(out.len());
        out[..count].copy_from_slice(&self.rest.bytes()[..count]);
        self.rest.consume(count);
        count
    }

    /// What was read behind the data of the last [`SessionReceiver::advance`] and the other half must know
    /// now: the answer to a KeyUpdate comes before our next data. Errors and the end wait their turn.
    pub fn told_behind(&mut self) -> Option<SessionEvent> {
        match self.held {
            Some(Ok(event @ (SessionEvent::KeyUpdate(_) | SessionEvent::Renegotiation))) => {
                self.held = None;
                Some(event)
            }
            _ => None,
        }
    }

    /// The KeyUpdate that was told last answers a request of ours: it does not count against
    /// [`super::KeyUpdateLimit`], since the peer had to send it.
    pub const fn update_was_asked_for(&mut self) {
        self.storm.answered();
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

    /// Records opened.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.records
    }
}

impl Drop for SessionReceiver {
    fn drop(&mut self) {
        self.setting.stats.sub(Counter::TlsCurrRxSw);
    }
}

/// Where an opened record's plaintext lies.
enum OpenInto<'a> {
    /// In the caller's buffer.
    Direct(&'a mut [u8]),
    /// At the start of the free room of `rest`.
    Rest,
}

const WARNING: u8 = 1;

fn take(buffer: &mut [u8], len: usize) -> WipedBytes {
    let taken = WipedBytes::from(&buffer[..len]);
    wipe(&mut buffer[..len]);
    taken
}
