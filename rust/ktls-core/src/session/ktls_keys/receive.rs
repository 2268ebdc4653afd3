//! The receiving direction: the control records of the peer.

use std::time::Duration;

use super::{KtlsKeys, ReceiverHandOver};
use crate::crypto_info::{CryptoInfo, Direction};
use crate::error::Error;
use crate::rekey::Reply;
use crate::session::KeySource;
use crate::session::handshake::{HandshakeAssembler, HandshakeMessage};
use crate::session::key_update_storm::StormGuard;
use crate::session::receive::AlertEffect;
use crate::wire::{ContentType, KEY_UPDATE, TLS13};

/// The keys of the receiving direction.
pub(in crate::session) struct KtlsReceiveKeys {
    messages: HandshakeAssembler,
    storm: StormGuard,
    pub(super) generation: u64,
    /// The next key, until the socket has it.
    next: Option<CryptoInfo>,
    /// The socket has paused at a record that is not the end of a KeyUpdate.
    is_paused_early: bool,
    /// The peer of a TLS 1.2 session wants to renegotiate, and was not refused yet.
    renegotiation: bool,
    is_closed: bool,
    failed: Option<Error>,
}

impl KtlsReceiveKeys {
    pub(super) fn new(from: ReceiverHandOver) -> Self {
        Self {
            messages: from.messages,
            storm: from.storm,
            generation: from.generation,
            next: None,
            is_paused_early: false,
            renegotiation: false,
            is_closed: from.is_closed,
            failed: None,
        }
    }

    pub(super) fn check_alive(&self) -> Result<(), Error> {
        self.failed.map_or(Ok(()), Err)
    }

    pub(super) fn fail(&mut self, error: Error) -> Error {
        *self.failed.get_or_insert(error)
    }

    pub(super) const fn excuse_key_update(&mut self) {
        self.storm.excuse_key_update();
    }

    pub(super) fn note_data(&mut self, len: usize, now: Duration) -> Result<(), Error> {
        self.check_alive()?;
        if !self.messages.at_boundary() {
            let record_type = ContentType::APPLICATION_DATA.0;
            return Err(self.fail(Error::Interleaved { record_type }));
        }
        self.storm.note_data(len, now);
        Ok(())
    }

    /// Acts on a control record. Returns the request of a KeyUpdate that ended in it.
    pub(super) fn take_record(
        &mut self,
        version: u16,
        source: &mut dyn KeySource,
        record: (u8, &[u8]),
        now: Duration,
    ) -> Result<Option<Reply>, Error> {
        self.check_alive()?;
        self.act_on(version, source, record, now)
            .map_err(|error| self.fail(error))
    }

    fn act_on(
        &mut self,
        version: u16,
        source: &mut dyn KeySource,
        (record_type, plaintext): (u8, &[u8]),
        now: Duration,
    ) -> Result<Option<Reply>, Error> {
        match ContentType(record_type) {
            ContentType::HANDSHAKE | ContentType::ALERT if plaintext.is_empty() => {
                Err(Error::EmptyFragment { record_type })
            }
            ContentType::HANDSHAKE => self.take_handshake(version, source, plaintext, now),
            ContentType::ALERT => {
                self.is_closed |= AlertEffect::of(plaintext, version)? == AlertEffect::Closes;
                Ok(None)
            }
            _ => Err(Error::UnexpectedRecord { record_type }),
        }
    }

    fn take_handshake(
        &mut self,
        version: u16,
        source: &mut dyn KeySource,
        fragment: &[u8],
        now: Duration,
    ) -> Result<Option<Reply>, Error> {
        let (mut update, mut renegotiation) = (None, false);
        self.messages.feed(fragment, |message| {
            match message {
                HandshakeMessage::Ticket(body) => source.ticket(body)?,
                HandshakeMessage::KeyUpdate(reply) => update = Some(reply),
                HandshakeMessage::Renegotiation => renegotiation = true,
            }
            Ok(())
        })?;
        self.renegotiation |= renegotiation;
        if update.is_some() {
            self.storm.count_key_update(now)?;
            // One key at a time: the socket opens nothing behind a KeyUpdate before it has the next
            // key.
            self.next = Some(source.next(Direction::Rx)?);
        }
        // The socket pauses at the first byte of a record (`docs/kernel-rules.md`, K-1, K-6 and
        // K-7).
        self.is_paused_early =
            update.is_none() && version == TLS13 && fragment.first() == Some(&KEY_UPDATE);
        Ok(update)
    }
}

impl KtlsKeys {
    /// Returns the next key of the peer, to be installed before anything more is received.
    #[must_use]
    pub const fn next_receive_key(&self) -> Option<&CryptoInfo> {
        self.rx.next.as_ref()
    }

    /// Returns `true` if the socket has paused at a record that does not end a KeyUpdate: the key
    /// in use has to be installed again, with its current record number.
    #[must_use]
    pub const fn is_paused_early(&self) -> bool {
        self.rx.is_paused_early
    }

    /// Notes that the key of the peer is installed, the next one or the one in use.
    pub fn note_receive_key_installed(&mut self) {
        self.rx.is_paused_early = false;
        if self.rx.next.take().is_some() {
            self.rx.generation += 1;
        }
    }

    /// Returns `true` once for a peer of a TLS 1.2 session that wants to renegotiate: refuse with
    /// the warning no_renegotiation (RFC 5246 §7.2.2).
    pub const fn take_renegotiation(&mut self) -> bool {
        std::mem::replace(&mut self.rx.renegotiation, false)
    }

    /// Returns `true` if the peer has sent close_notify.
    #[must_use]
    pub const fn is_closed_by_peer(&self) -> bool {
        self.rx.is_closed
    }
}
