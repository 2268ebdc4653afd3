//! Handles records that are not application data: handshake messages and alerts.

use std::time::Duration;

use super::{ReceiverState, SessionEvent, SessionReceiver};
use crate::crypto_info::Direction;
use crate::error::{Alert, Error};
use crate::session::handshake::HandshakeMessage;
use crate::stats::Counter;
use crate::wire::{ALERT_WARNING, ContentType, TLS13};

impl SessionReceiver {
    /// Acts on the plaintext of one record. Sets `event` or `state` if the caller has to act, too.
    pub(super) fn act_on_control(
        &mut self,
        record_type: ContentType,
        message: &[u8],
        now: Duration,
    ) -> Result<(), Error> {
        match record_type {
            ContentType::HANDSHAKE | ContentType::ALERT if message.is_empty() => {
                Err(Error::EmptyFragment {
                    record_type: record_type.0,
                })
            }
            ContentType::HANDSHAKE => self.take_handshake_fragment(message, now),
            ContentType::ALERT => self.take_alert(message),
            ContentType(record_type) => Err(Error::UnexpectedRecord { record_type }),
        }
    }

    fn take_handshake_fragment(&mut self, fragment: &[u8], now: Duration) -> Result<(), Error> {
        let mut event = None;
        let keys = &mut self.keys;
        self.messages.feed(fragment, |message| {
            match message {
                HandshakeMessage::Ticket(body) => keys.ticket(body)?,
                HandshakeMessage::KeyUpdate(reply) => event = Some(SessionEvent::KeyUpdate(reply)),
                HandshakeMessage::Renegotiation => event = Some(SessionEvent::Renegotiation),
            }
            Ok(())
        })?;
        if let Some(SessionEvent::KeyUpdate(_)) = event {
            self.install_next_key(now)?;
        }
        self.event = event;
        Ok(())
    }

    /// Installs the peer's next key, after the KeyUpdate at the end of the record just opened.
    fn install_next_key(&mut self, now: Duration) -> Result<(), Error> {
        self.setting.stats.add(Counter::TlsRxRekeyReceived);
        self.storm
            .count_key_update(now)
            .inspect_err(|_| self.setting.stats.add(Counter::TlsRxRekeyStorm))?;
        let next = self.keys.next(Direction::Rx)?;
        self.opener.follow(next, self.setting.provider)?;
        self.setting.stats.add(Counter::TlsRxRekeyOk);
        Ok(())
    }

    fn take_alert(&mut self, message: &[u8]) -> Result<(), Error> {
        if AlertEffect::of(message, self.opener.version())? == AlertEffect::Closes {
            self.state = ReceiverState::Closed;
        }
        Ok(())
    }
}

/// What an alert means for a session that does not fail because of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::session) enum AlertEffect {
    /// It is close_notify: the peer sends nothing more.
    Closes,
    /// It is a warning that asks for nothing.
    Nothing,
}

impl AlertEffect {
    /// Returns the effect of an alert in a session of this version.
    ///
    /// # Errors
    /// - [`Error::BadAlertLength`] if `message` is not an alert.
    /// - [`Error::AlertReceived`] if the alert ends the connection.
    pub(in crate::session) fn of(message: &[u8], version: u16) -> Result<Self, Error> {
        let &[level, code] = message else {
            return Err(Error::BadAlertLength { len: message.len() });
        };
        let warning_in_12 = version != TLS13 && level == ALERT_WARNING;
        match Alert::from_code(code) {
            Some(Alert::CloseNotify) => Ok(Self::Closes),
            // Announces a close_notify, and asks for nothing (RFC 8446 §6.1).
            Some(Alert::UserCanceled) => Ok(Self::Nothing),
            _ if warning_in_12 => Ok(Self::Nothing),
            _ => Err(Error::AlertReceived(code)),
        }
    }
}
