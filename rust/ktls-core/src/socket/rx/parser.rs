//! The stream parser: finds whole records at the head of the wire, and checks their headers.

use super::SocketRx;
use crate::error::Error;
use crate::socket::SocketShared;

/// The state of the stream parser (`docs/kernel-rules.md`, S3.1).
///
/// | state   | bytes came                      | record opened |
/// |---------|---------------------------------|---------------|
/// | NeedsBytes  | NeedsBytes, Ready, or Stopped       | –             |
/// | Ready   | Ready                           | NeedsBytes        |
/// | Stopped | Stopped                         | –             |
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum StreamParser {
    /// The record at the head is not whole.
    NeedsBytes,
    /// A whole record of this many bytes is at the head.
    Ready(usize),
    /// A bad header has ended parsing for good.
    Stopped,
}

/// The length in bytes of a header and an explicit nonce.
const LONGEST_HEAD: usize = 13;

impl SocketRx {
    /// Checks the header of the next record, of which TCP still has the bytes `next`. The kernel
    /// sets `sk_err` when a bad header arrives, not when it is read.
    pub fn foresee(&mut self, next: &[u8], shared: &SocketShared) {
        let mut head = [0; LONGEST_HEAD];
        let have = self.wire.bytes();
        let both = have.iter().chain(next).copied();
        let len = head
            .iter_mut()
            .zip(both)
            .map(|(to, from)| *to = from)
            .count();
        if let Err(error) = self.framing.announced(&head[..len]) {
            self.stop(error, shared);
        }
    }

    /// Returns `true` if [`SocketRx::foresee`] may find a bad header: if the next one is not
    /// checked yet.
    #[must_use]
    pub fn may_foresee(&self) -> bool {
        self.parser == StreamParser::NeedsBytes
            && self.framing.announced(self.wire.bytes()) == Ok(None)
    }

    /// Returns `true` while the record at the head is not whole.
    #[must_use]
    pub fn needs_bytes(&self) -> bool {
        self.parser == StreamParser::NeedsBytes
    }

    /// Returns `true` once a bad header has stopped the parser.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.parser == StreamParser::Stopped
    }

    /// Parses the header at the head, unless that was done, and returns the state.
    pub(super) fn parse(&mut self, shared: &SocketShared) -> StreamParser {
        if self.parser == StreamParser::NeedsBytes {
            match self.framing.deframe(self.wire.bytes()) {
                Ok(Some(record)) => self.parser = StreamParser::Ready(record.wire_len()),
                Ok(None) => {}
                Err(error) => self.stop(error, shared),
            }
        }
        self.parser
    }

    /// Stops the parser and sets `sk_err`.
    fn stop(&mut self, error: Error, shared: &SocketShared) {
        self.parser = StreamParser::Stopped;
        shared.error.set(error);
    }
}
