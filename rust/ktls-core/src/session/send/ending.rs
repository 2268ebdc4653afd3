//! The end of the sending direction: close_notify and alerts.

use super::SessionSender;
use crate::error::{Alert, Error};
use crate::fifo::Fifo;
use crate::wire::{ALERT_FATAL, ALERT_WARNING, ContentType};

/// Whether and how the sending direction has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SendEnding {
    /// Data may be sent.
    Open,
    /// close_notify was sealed.
    Closed,
    /// A fatal alert was sealed, or nothing can be sent any more.
    Failed,
}

/// The last record of the sending direction, after all data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastWord {
    /// All data is sent.
    CloseNotify,
    /// Some data is not sent, or the peer has violated the protocol.
    Alert(Alert),
}

impl SessionSender {
    /// Seals a close_notify, which tells the peer that no more data follows. Does nothing if the
    /// direction has ended.
    ///
    /// # Errors
    /// [`Error::NoRoom`] if too many sealed bytes are waiting to be sent. Also returns the errors
    /// of [`Sealer::seal_batch`](crate::record::Sealer::seal_batch).
    pub fn close_notify(&mut self) -> Result<(), Error> {
        if self.ending == SendEnding::Open {
            self.seal(
                ContentType::ALERT,
                &[ALERT_WARNING, Alert::CloseNotify.code()],
            )?;
            self.ending = SendEnding::Closed;
        }
        Ok(())
    }

    /// Ends the direction as failed. Seals `alert` first, as a fatal one, unless the direction has
    /// ended before.
    pub fn fail(&mut self, alert: Option<Alert>) {
        if let (Some(alert), SendEnding::Open) = (alert, self.ending) {
            // If there is no room for the alert, the peer is not reading and would not see it.
            let _not_sent = self.seal(ContentType::ALERT, &[ALERT_FATAL, alert.code()]);
        }
        self.ending = SendEnding::Failed;
    }

    /// Ends the direction because nothing can be sent to the socket any more. Drops the sealed
    /// bytes that were not sent.
    pub fn abandon(&mut self) {
        self.ending = SendEnding::Failed;
        self.wire.consume(self.wire.len());
    }

    /// Refuses a renegotiation of TLS 1.2 (RFC 5246 §7.2.2). Does nothing if the direction has
    /// ended.
    ///
    /// # Errors
    /// Returns the errors of [`SessionSender::close_notify`].
    pub fn refuse_renegotiation(&mut self) -> Result<(), Error> {
        if self.ending != SendEnding::Open {
            return Ok(());
        }
        self.seal(
            ContentType::ALERT,
            &[ALERT_WARNING, Alert::NoRenegotiation.code()],
        )
    }

    /// Ends the direction and returns all bytes that are still to be sent. They end with
    /// `last_word`, unless the direction has ended before.
    pub fn finish(&mut self, last_word: Option<LastWord>) -> Fifo {
        let mut unsent = std::mem::take(&mut self.wire);
        // `wire` was taken, so that there is room. If no sequence number is left, the last record
        // is not sent: the peer sees the end of the stream anyway.
        match last_word {
            Some(LastWord::CloseNotify) => drop(self.close_notify()),
            Some(LastWord::Alert(alert)) => self.fail(Some(alert)),
            None => {}
        }
        self.ending = SendEnding::Failed;
        let last = std::mem::take(&mut self.wire);
        unsent.push(last.bytes());
        unsent
    }

    /// Returns whether and how the direction has ended.
    #[must_use]
    pub const fn ending(&self) -> SendEnding {
        self.ending
    }

    /// Checks that data may still be sealed.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        match self.ending {
            SendEnding::Open => Ok(()),
            SendEnding::Closed => Err(Error::SendClosed),
            SendEnding::Failed => Err(Error::Dead),
        }
    }
}
