//! Assembles post-handshake messages from records (RFC 8446 §4.6, §5.1).
//!
//! In a session, only this module finds KeyUpdates: it reads every message anyway, including those
//! that span records, and refuses messages and bytes that may not precede or follow a KeyUpdate.

use crate::error::Error;
use crate::rekey::Reply;
use crate::wiped_memory::WipedBytes;
use crate::wire::{
    CLIENT_HELLO, HELLO_REQUEST, KEY_UPDATE, MESSAGE_HEADER_LEN, NEW_SESSION_TICKET, TLS13,
};

/// Assembles handshake messages from the plaintexts of records.
#[derive(Debug)]
pub(super) struct HandshakeAssembler {
    rules: HandshakeRules,
    /// The start of an incomplete message.
    partial: WipedBytes,
}

/// The rules for which messages are allowed, and how they are split.
#[derive(Clone, Copy, Debug)]
struct HandshakeRules {
    version: u16,
    is_client: bool,
}

/// A complete handshake message.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum HandshakeMessage<'a> {
    KeyUpdate(Reply),
    /// The body of a NewSessionTicket.
    Ticket(&'a [u8]),
    /// A HelloRequest or ClientHello of TLS 1.2.
    Renegotiation,
}

/// The longest body in bytes: a NewSessionTicket with a ticket of 2^16 bytes and its other fields.
const MAX_MESSAGE: usize = (1 << 16) + 1024;

impl HandshakeAssembler {
    pub(super) fn new(version: u16, is_client: bool) -> Self {
        Self {
            rules: HandshakeRules { version, is_client },
            partial: WipedBytes::new(),
        }
    }

    /// Returns `true` if no message is incomplete. The key may change only here.
    pub(super) fn at_boundary(&self) -> bool {
        self.partial.is_empty()
    }

    /// Takes the plaintext of a handshake record, and calls `each` with every message that is
    /// complete now.
    ///
    /// # Errors
    /// Returns the errors of `each`, and these, as early as possible, even before the message is
    /// complete:
    /// - [`Error::UnexpectedMessage`] if this version or side does not allow the message.
    /// - [`Error::BadKeyUpdateLength`] or [`Error::BadKeyUpdateValue`] for a malformed KeyUpdate.
    /// - [`Error::DataAfterKeyUpdate`] if bytes follow a KeyUpdate in its record.
    /// - [`Error::HandshakeTooLong`] if the message is longer than any that is allowed.
    pub(super) fn feed(
        &mut self,
        fragment: &[u8],
        each: impl FnMut(HandshakeMessage<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.partial.is_empty() {
            let used = self.rules.read_messages(fragment, each)?;
            self.partial.extend_from_slice(&fragment[used..]);
        } else {
            self.partial.extend_from_slice(fragment);
            let used = self.rules.read_messages(&self.partial, each)?;
            self.partial.remove_front(used);
        }
        Ok(())
    }
}

type MessageSplit<'a> = Option<(u8, &'a [u8], &'a [u8])>;

impl HandshakeRules {
    /// Calls `each` with the complete messages at the start of `bytes`, and returns their length in
    /// bytes.
    fn read_messages(
        self,
        bytes: &[u8],
        mut each: impl FnMut(HandshakeMessage<'_>) -> Result<(), Error>,
    ) -> Result<usize, Error> {
        let mut rest = bytes;
        while let Some((message_type, body, after)) = self.split_message(rest)? {
            let message = parse_message(message_type, body)?;
            if matches!(message, HandshakeMessage::KeyUpdate(_)) && !after.is_empty() {
                return Err(Error::DataAfterKeyUpdate);
            }
            each(message)?;
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    /// Returns the type and body of the first message, and the bytes behind it; `None` if it is
    /// incomplete.
    fn split_message(self, bytes: &[u8]) -> Result<MessageSplit<'_>, Error> {
        let Some(&message_type) = bytes.first() else {
            return Ok(None);
        };
        if !self.allows(message_type) {
            return Err(Error::UnexpectedMessage { message_type });
        }
        let Some((&[_, a, b, c], rest)) = bytes.split_first_chunk::<MESSAGE_HEADER_LEN>() else {
            return Ok(None);
        };
        let len = u32::from_be_bytes([0, a, b, c]) as usize;
        if message_type == KEY_UPDATE && len != 1 {
            return Err(Error::BadKeyUpdateLength { len });
        }
        if len > MAX_MESSAGE {
            return Err(Error::HandshakeTooLong {
                len,
                max: MAX_MESSAGE,
            });
        }
        Ok(rest
            .split_at_checked(len)
            .map(|(body, after)| (message_type, body, after)))
    }

    fn allows(self, message_type: u8) -> bool {
        match (self.version, message_type) {
            (TLS13, KEY_UPDATE) => true,
            (TLS13, NEW_SESSION_TICKET) => self.is_client,
            (TLS13, _) => false,
            (_, message_type) => matches!(message_type, HELLO_REQUEST | CLIENT_HELLO),
        }
    }
}

fn parse_message(message_type: u8, body: &[u8]) -> Result<HandshakeMessage<'_>, Error> {
    match (message_type, body) {
        (KEY_UPDATE, &[0]) => Ok(HandshakeMessage::KeyUpdate(Reply::NotRequested)),
        (KEY_UPDATE, &[1]) => Ok(HandshakeMessage::KeyUpdate(Reply::Requested)),
        (KEY_UPDATE, &[value, ..]) => Err(Error::BadKeyUpdateValue { value }),
        (NEW_SESSION_TICKET, body) => Ok(HandshakeMessage::Ticket(body)),
        (HELLO_REQUEST | CLIENT_HELLO, _) => Ok(HandshakeMessage::Renegotiation),
        (message_type, _) => Err(Error::UnexpectedMessage { message_type }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::TLS12;

    fn feed(fragments: &[&[u8]]) -> Result<Vec<String>, Error> {
        let (mut messages, mut seen) = (HandshakeAssembler::new(TLS13, true), Vec::new());
        for fragment in fragments {
            messages.feed(fragment, |message| {
                seen.push(format!("{message:?}"));
                Ok(())
            })?;
        }
        assert!(messages.at_boundary());
        Ok(seen)
    }

    #[test]
    fn messages_are_the_same_in_a_stream_that_is_cut_anywhere() {
        let stream = [4, 0, 0, 2, 7, 8, 4, 0, 0, 0, 24, 0, 0, 1, 1];
        let want = ["Ticket([7, 8])", "Ticket([])", "KeyUpdate(Requested)"];
        assert_eq!(feed(&[&stream]).unwrap(), want);
        for cut in 0..=stream.len() {
            let (a, b) = stream.split_at(cut);
            assert_eq!(feed(&[a, b]).unwrap(), want, "cut at {cut}");
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(feed(&single).unwrap(), want);
    }

    #[test]
    fn each_violation_of_the_rfc_has_its_error() {
        for (bytes, want) in [
            (&[24, 0, 0, 1, 0, 4][..], Error::DataAfterKeyUpdate),
            (&[24, 0, 0, 2], Error::BadKeyUpdateLength { len: 2 }),
            (&[24, 0, 0, 1, 2], Error::BadKeyUpdateValue { value: 2 }),
            (&[20], Error::UnexpectedMessage { message_type: 20 }),
            (
                &[4, 255, 255, 255],
                Error::HandshakeTooLong {
                    len: 0xff_ffff,
                    max: MAX_MESSAGE,
                },
            ),
        ] {
            assert_eq!(feed(&[bytes]), Err(want), "{bytes:?}");
        }
    }

    #[test]
    fn tls12_knows_only_renegotiation() {
        let mut messages = HandshakeAssembler::new(TLS12, true);
        let mut count = 0;
        messages
            .feed(&[0, 0, 0, 0], |_| {
                count += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(count, 1);
        let error = messages.feed(&[24, 0, 0, 1, 0], |_| Ok(())).unwrap_err();
        assert_eq!(error, Error::UnexpectedMessage { message_type: 24 });
    }

    #[test]
    fn a_server_refuses_a_ticket_at_its_first_byte() {
        let got = HandshakeAssembler::new(TLS13, false).feed(&[4], |_| Ok(()));
        assert_eq!(got, Err(Error::UnexpectedMessage { message_type: 4 }));
    }
}
