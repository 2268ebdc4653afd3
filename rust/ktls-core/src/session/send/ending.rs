//! The end of the sending direction: close_notify and alerts.

use super::SessionSender;
use crate::error::{Alert, Error};
use crate::fifo::Fifo;
use crate::wire::{ALERT_FATAL, ALERT_WARNING, ContentType};

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

/// The last record of the sending direction, behind all data.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum LastWord {
    /// The peer has got everything.
    CloseNotify,
    /// The peer has not got everything, or has done something wrong.
    Alert(Alert),
}

impl SessionSender {
    /// Seals a close_notify: no more data will come. A second one changes nothing.
    ///
    /// # Errors
    /// [`Error::NoRoom`] while too much waits to be sent.
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

    /// Ends the direction: seals `alert` as a fatal one, unless the direction has ended before.
    pub fn fail(&mut self, alert: Option<Alert>) {
        if let (Some(alert), SendEnding::Open) = (alert, self.ending) {
            // Without room for it the peer is not reading, and would not see it either.
            let _unsaid = self.seal(ContentType::ALERT, &[ALERT_FATAL, alert.code()]);
        }
        self.ending = SendEnding::Failed;
    }

    /// Gives the direction up because the socket takes no more: drops what was sealed, and seals nothing more.
    pub fn abandon(&mut self) {
        self.ending = SendEnding::Failed;
        self.wire.consume(self.wire.len());
    }

    /// Refuses a renegotiation of TLS 1.2 (RFC 5246 §7.2.2).
    ///
    /// # Errors
    /// [`Error::NoRoom`]
    pub fn refuse_renegotiation(&mut self) -> Result<(), Error> {
        if self.ending != SendEnding::Open {
            return Ok(());
        }
        self.seal(
            ContentType::ALERT,
            &[ALERT_WARNING, Alert::NoRenegotiation.code()],
        )
    }

    /// Ends the direction, with `last_word` unless one was sealed before, and returns everything that waits to
    /// be sent.
    pub fn finish(&mut self, last_word: Option<LastWord>) -> Fifo {
        let mut unsent = std::mem::take(&mut self.wire);
        // Into a buffer that is empty now, so that there is room. What no record number is left for stays
        // unsaid: the peer finds the end without it.
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

    /// Returns how far the direction is from its end.
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
