//! What a handshake does with the bytes of the peer: piece by piece to rustls, without early data.

use std::ops::Range;

use ktls_core::Alert;
use ktls_core::wire::{ContentType, HEADER_LEN};
use rustls::Error as Rustls;

use super::choice::ConfigChoice;
use super::early_data::{MAX_SKIPPED, SiftedRecord};
use super::{Handshake, HandshakeProgress, HandshakeState, IncomingPiece, error};
use crate::error::HandshakeError;

impl Handshake {
    /// Passes the received bytes to rustls, unless a configuration has to be chosen first.
    pub(super) fn process_received(&mut self) -> Result<HandshakeProgress, HandshakeError> {
        if !matches!(self.choice, ConfigChoice::Made) {
            return self.progress();
        }
        let mut start = 0;
        while let Some(piece) = self.next_piece(start) {
            start = piece.end;
            self.handle(piece);
        }
        self.received.drain(..start);
        self.progress()
    }

    /// Returns the range in `received` of the next piece for rustls, or `None` if the piece has not
    /// arrived completely or the handshake has ended.
    pub(super) fn next_piece(&self, start: usize) -> Option<Range<usize>> {
        let len = match (self.next, self.header_at(start)) {
            (IncomingPiece::Body { len, .. }, _) => len,
            (IncomingPiece::Header, Some(header)) if self.is_to_be_sifted(header) => {
                HEADER_LEN + body_len(header)
            }
            (IncomingPiece::Header, _) => HEADER_LEN,
        };
        let whole =
            matches!(self.state, HandshakeState::Running) && start + len <= self.received.len();
        whole.then_some(start..start + len)
    }

    pub(super) fn header_at(&self, start: usize) -> Option<[u8; HEADER_LEN]> {
        self.received.get(start..)?.first_chunk().copied()
    }

    fn is_to_be_sifted(&self, header: [u8; HEADER_LEN]) -> bool {
        self.early_data.is_to_be_sifted(header) && !self.is_too_long(header)
    }

    pub(super) fn handle(&mut self, piece: Range<usize>) {
        match (self.next, self.header_at(piece.start)) {
            (IncomingPiece::Header, Some(header)) if self.is_to_be_sifted(header) => {
                self.sift_record(piece)
            }
            (IncomingPiece::Header, Some(header)) if self.is_too_long(header) => self.refuse(
                Alert::RecordOverflow,
                "the peer sent a record longer than the protocol allows",
            ),
            _ => self.pass_to_rustls(piece),
        }
    }

    /// Handles a whole record that may be early data.
    fn sift_record(&mut self, record: Range<usize>) {
        let (suite, secrets) = (self.suite(), self.side.secrets());
        let make_opener = || secrets.opener(suite?, 0);
        match self
            .early_data
            .sift(&self.received[record.clone()], make_opener)
        {
            SiftedRecord::EarlyData => {}
            SiftedRecord::TooMuch => {
                let text = format!("the client sent more than {MAX_SKIPPED} bytes of early data");
                self.refuse(Alert::UnexpectedMessage, text);
            }
            SiftedRecord::Handshake => {
                let body = record.start + HEADER_LEN;
                self.pass_to_rustls(record.start..body);
                if matches!(self.state, HandshakeState::Running) {
                    self.pass_to_rustls(body..record.end);
                }
            }
        }
    }

    fn pass_to_rustls(&mut self, piece: Range<usize>) {
        self.total_passed += piece.len();
        if self.total_passed > MAX_HANDSHAKE {
            let text = format!("the peer's handshake is longer than {MAX_HANDSHAKE} bytes");
            return self.refuse(Alert::IllegalParameter, text);
        }
        self.incoming
            .extend_from_slice(&self.received[piece.clone()]);
        self.next = match (self.next, self.header_at(piece.start)) {
            (IncomingPiece::Header, Some(header)) => {
                self.counts.count_received(header);
                IncomingPiece::Body {
                    record_type: header[0],
                    len: body_len(header),
                }
            }
            (IncomingPiece::Body { record_type, .. }, _) => {
                if record_type == ContentType::HANDSHAKE.0 {
                    let fragment = &self.received[piece.clone()];
                    self.hello = self.early_data.read_plaintext(fragment).or(self.hello);
                    if !self.side.is_server() {
                        self.server_hello.read_fragment(fragment);
                    }
                }
                IncomingPiece::Header
            }
            (IncomingPiece::Header, None) => IncomingPiece::Header,
        };
        self.advance(piece);
    }

    /// Runs rustls until it needs more input. `piece` is the range in `received` that it got last.
    pub(super) fn advance(&mut self, piece: Range<usize>) {
        let before = self.outgoing.len();
        let advanced = self.side.advance(&mut self.incoming, &mut self.outgoing);
        self.counts.count_sent(&self.outgoing[before..]);
        if self.side.is_server() {
            self.server_hello.read_records(&self.outgoing[before..]);
        }
        match advanced {
            Ok(()) if self.side.common().is_handshaking() => {}
            Ok(()) => self.state = HandshakeState::Complete,
            Err(error) => self.fail(&error, piece),
        }
        if !matches!(self.state, HandshakeState::Running) {
            self.side.secrets().wipe();
        }
    }

    fn fail(&mut self, error: &Rustls, piece: Range<usize>) {
        let mut rustls_alert = Vec::new();
        self.side.collect_alert(&mut rustls_alert);
        let body = self.received[piece].to_vec();
        self.queue_alert_for(error, &rustls_alert, &body);
        let text = if self.total_passed == HEADER_LEN && error::is_invalid_header(error) {
            error::not_tls(&self.incoming)
        } else {
            self.side.failure_context().explain(error)
        };
        self.state = HandshakeState::Failed(HandshakeError::failed(text));
    }
}

pub(super) fn body_len([.., high, low]: [u8; HEADER_LEN]) -> usize {
    usize::from(u16::from_be_bytes([high, low]))
}

/// The most bytes that a peer may send before the handshake is complete. rustls bounds a
/// certificate chain to 64 KiB, but a peer that cuts its messages into tiny records would make it
/// store far more.
pub(super) const MAX_HANDSHAKE: usize = 1 << 18;
