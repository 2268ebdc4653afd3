//! The end of a receiver whose session goes on elsewhere.

use std::time::Duration;

use super::{ReceiverState, SessionRead, SessionReceiver};
use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::fifo::Fifo;
use crate::session::handshake::HandshakeAssembler;
use crate::session::key_update_storm::StormGuard;
use crate::session::ktls_keys::ReceiverHandOver;
use crate::wiped_memory::WipedBytes;
use crate::wire::MAX_PLAINTEXT;

/// What a receiver has received and not delivered.
#[derive(Debug, Default)]
pub struct UnreadBytes {
    /// Application data that was opened.
    pub plaintext: WipedBytes,
    /// Wire bytes that were not opened. After the peer's close_notify they are not TLS.
    pub sealed: Vec<u8>,
}

/// How far [`SessionReceiver::settle`] came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SettleOutcome {
    /// Everything that was received is opened, or the peer has sent close_notify.
    Settled,
    /// This many more wire bytes are needed to complete a record or its header.
    Needs(usize),
    /// Opening has stopped at an event: poll it, then settle again.
    EventFirst,
}

impl SessionReceiver {
    /// Returns the key in use, with the number of the next record.
    #[must_use]
    pub fn live_info(&self) -> CryptoInfo {
        self.opener.live_info()
    }

    /// Checks that no record was refused.
    ///
    /// # Errors
    /// What the peer did wrong. The data in front of it can still be read here.
    pub fn check_alive(&self) -> Result<(), Error> {
        match self.state {
            ReceiverState::Failed(error) => Err(error),
            ReceiverState::Open | ReceiverState::Closed => Ok(()),
        }
    }

    /// Checks that no part of a handshake message was opened, which would be lost with this object.
    ///
    /// # Errors
    /// [`Error::MessageIncomplete`]
    pub fn check_message_boundary(&self) -> Result<(), Error> {
        if self.messages.at_boundary() || self.is_closed() {
            Ok(())
        } else {
            Err(Error::MessageIncomplete)
        }
    }

    /// Opens all records that were received, without delivering their data: the next reads do.
    ///
    /// # Errors
    /// Returns what the peer did wrong. The data in front of it is delivered by the next reads.
    pub fn settle(&mut self, now: Duration) -> Result<SettleOutcome, Error> {
        let mut kept = std::mem::replace(&mut self.rest, Fifo::for_plaintext());
        let settled = self.open_all(&mut kept, now);
        kept.push(self.rest.bytes());
        self.rest = kept;
        settled
    }

    /// Opens records and appends their data to `kept`.
    fn open_all(&mut self, kept: &mut Fifo, now: Duration) -> Result<SettleOutcome, Error> {
        loop {
            // Room for the longest inner plaintext, so that nothing is left in `rest`.
            let room = kept.space(2 * MAX_PLAINTEXT);
            match self.read(room, now)? {
                SessionRead::Data(count) => kept.commit(count.get()),
                SessionRead::EventFirst => return Ok(SettleOutcome::EventFirst),
                SessionRead::EndOfStream => return Ok(SettleOutcome::Settled),
                SessionRead::NeedMore if self.wire.is_empty() => return Ok(SettleOutcome::Settled),
                SessionRead::NeedMore => return Ok(SettleOutcome::Needs(self.wants())),
            }
            if self.event.is_some() {
                return Ok(SettleOutcome::EventFirst);
            }
        }
    }

    /// Takes everything that was not delivered.
    pub fn take_unread(&mut self) -> UnreadBytes {
        // A close_notify was opened: it must not be opened again.
        self.wire.consume(std::mem::take(&mut self.closing_record));
        let unread = UnreadBytes {
            plaintext: WipedBytes::from(self.rest.bytes()),
            sealed: self.wire.bytes().to_vec(),
        };
        self.rest.consume(self.rest.len());
        self.wire.consume(self.wire.len());
        unread
    }

    /// Ends the direction for this object, and returns its state.
    pub(in crate::session) fn hand_over(&mut self) -> ReceiverHandOver {
        let rules = HandshakeAssembler::new(self.opener.version(), self.keys.is_client());
        let storm = StormGuard::new(self.setting.policy.key_updates);
        let is_closed = self.is_closed();
        self.state = ReceiverState::Failed(Error::Dead);
        ReceiverHandOver {
            messages: std::mem::replace(&mut self.messages, rules),
            storm: std::mem::replace(&mut self.storm, storm),
            generation: self.opener.generation(),
            is_closed,
        }
    }
}
