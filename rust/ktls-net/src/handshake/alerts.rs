//! Alerts that RFC 8446 requires and rustls does not send, or replaces by other ones.
//!
//! Faults in a header or in the stream as a whole are found before rustls gets the bytes. Faults in
//! the plaintext of a record are found after rustls has refused it: the record is opened once more.
//! One of our alerts replaces the one that rustls has made, which is then not sent. So no two
//! messages are sealed under one record number.

use ktls_core::Alert;
use ktls_core::suite::Suite;
use ktls_core::wire::{ALERT_FATAL, ContentType, FINISHED, HEADER_LEN, MAX_PLAINTEXT, TLS12};
use rustls::{Error as Rustls, InvalidMessage, PeerIncompatible, ProtocolVersion};
use zeroize::Zeroizing;

use super::{Handshake, HandshakeError, HandshakeState, error};

/// Counts of the records of a handshake.
#[derive(Default)]
pub(super) struct RecordCounts {
    /// Sealed records of the peer that were passed to rustls.
    pub(super) received: u64,
    /// Sealed records that rustls has made.
    sent: u64,
    /// Whether the peer has sent change_cipher_spec.
    peer_sent_ccs: bool,
    /// Whether we have sent change_cipher_spec.
    we_sent_ccs: bool,
}

impl RecordCounts {
    /// Counts a record of the peer whose header is passed to rustls.
    pub(super) const fn count_received(&mut self, header: [u8; HEADER_LEN]) {
        match ContentType(header[0]) {
            ContentType::APPLICATION_DATA => self.received += 1,
            ContentType::CHANGE_CIPHER_SPEC => self.peer_sent_ccs = true,
            _ => {}
        }
    }

    /// Counts the records that rustls has made.
    pub(super) fn count_sent(&mut self, mut records: &[u8]) {
        while let &[record_type, _, _, high, low, ref rest @ ..] = records {
            match ContentType(record_type) {
                ContentType::APPLICATION_DATA => self.sent += 1,
                ContentType::CHANGE_CIPHER_SPEC => self.we_sent_ccs = true,
                _ => {}
            }
            let len = usize::from(u16::from_be_bytes([high, low]));
            records = rest.get(len..).unwrap_or_default();
        }
    }
}

impl Handshake {
    /// Ends the handshake with this alert and error text.
    pub(super) fn refuse(&mut self, alert: Alert, text: impl Into<String>) {
        self.state = HandshakeState::Failed(HandshakeError::failed(text));
        self.queue_alert(alert);
        self.side.secrets().wipe();
    }

    /// Queues an alert for the peer. In TLS 1.2 only possible while our records are not encrypted.
    pub(super) fn queue_alert(&mut self, alert: Alert) {
        let message = [ALERT_FATAL, alert.code()];
        let secrets = self.side.secrets();
        if secrets.has_own_secret() {
            let sealed = self
                .suite()
                .and_then(|suite| secrets.seal_alert(suite, self.own_seq(), message).ok());
            self.outgoing.extend(sealed.unwrap_or_default());
        } else if !self.is_tls12() || !self.counts.we_sent_ccs {
            let [level, code] = message;
            self.outgoing
                .extend([ContentType::ALERT.0, 3, 3, 0, 2, level, code]);
        }
    }

    /// Queues the alert for an error of rustls: the one that the RFC requires, or else the one that
    /// rustls has made, which is in `rustls_alert`.
    pub(super) fn queue_alert_for(&mut self, error: &Rustls, rustls_alert: &[u8], body: &[u8]) {
        match self.required_alert(error, body) {
            Some(alert) => self.queue_alert(alert),
            None if !rustls_alert.is_empty() => self.outgoing.extend_from_slice(rustls_alert),
            None => {
                if let Some(alert) = error::default_alert(error) {
                    self.queue_alert(alert);
                }
            }
        }
    }

    /// Returns `true` if the header announces a record that is longer than allowed, for which RFC
    /// 8446 §5.1 and §5.2 require record_overflow.
    pub(super) fn is_too_long(&self, header: [u8; HEADER_LEN]) -> bool {
        let [record_type, 3, _, high, low] = header else {
            return false;
        };
        let is_protected12 = self.is_tls12() && self.counts.peer_sent_ccs;
        let expansion = match ContentType(record_type) {
            _ if is_protected12 => 2048,
            ContentType::APPLICATION_DATA => 256,
            ContentType::CHANGE_CIPHER_SPEC | ContentType::ALERT | ContentType::HANDSHAKE => 0,
            _ => return false,
        };
        usize::from(u16::from_be_bytes([high, low])) > MAX_PLAINTEXT + expansion
    }

    /// Returns the number of the cipher suite once it is negotiated.
    pub(super) fn suite(&self) -> Option<u16> {
        let suite = self.side.common().negotiated_cipher_suite()?;
        Some(suite.suite().into())
    }

    fn is_tls12(&self) -> bool {
        self.side.common().protocol_version() == Some(ProtocolVersion::TLSv1_2)
    }

    /// Returns the number of our next record under the key that seals our alerts.
    fn own_seq(&self) -> u64 {
        if self.side.is_server() {
            // rustls has just switched to the key, and sends nothing under it before the
            // handshake is complete.
            0
        } else {
            self.counts.sent
        }
    }

    /// Returns the alert for a fault in a plaintext message, or in the sealed record that rustls
    /// has refused.
    fn required_alert(&self, error: &Rustls, body: &[u8]) -> Option<Alert> {
        match error {
            Rustls::AlertReceived(_) => None,
            // RFC 8446 §5
            Rustls::InvalidMessage(InvalidMessage::InvalidContentType) => {
                Some(Alert::UnexpectedMessage)
            }
            Rustls::PeerIncompatible(why) if self.hello.is_some() => self.alert_of_hello(why),
            _ => self.alert_of_sealed(body),
        }
    }

    /// Returns the alert for a client that is too old, or leaves out what TLS 1.3 needs (RFC 8446
    /// §4.2.1 and §9.2).
    fn alert_of_hello(&self, why: &PeerIncompatible) -> Option<Alert> {
        let hello = self.hello?;
        match why {
            _ if hello.legacy_version < TLS12 && !hello.has_versions => {
                Some(Alert::ProtocolVersion)
            }
            PeerIncompatible::Tls12NotOffered | PeerIncompatible::Tls12NotOfferedOrEnabled => None,
            PeerIncompatible::KeyShareExtensionRequired => Some(Alert::MissingExtension),
            _ if hello.has_versions && hello.lacks_extensions => Some(Alert::MissingExtension),
            _ => None,
        }
    }

    fn alert_of_sealed(&self, body: &[u8]) -> Option<Alert> {
        let suite = self.suite()?;
        let seq = self.counts.received.checked_sub(1)?;
        let mut opener = self.side.secrets().opener(suite, seq)?;
        let len = u16::try_from(body.len()).ok()?.to_be_bytes();
        let header = [ContentType::APPLICATION_DATA.0, 3, 3, len[0], len[1]];
        let record = [&header[..], body].concat();
        let mut plaintext = Zeroizing::new(vec![0; record.len()]);
        let inner = opener.open(&record, &mut plaintext).ok()?;
        match ContentType(inner.record_type) {
            // RFC 8446 §5.1 and §5.4: these must not be empty.
            ContentType::ALERT | ContentType::HANDSHAKE if inner.len == 0 => {
                Some(Alert::UnexpectedMessage)
            }
            ContentType::HANDSHAKE => {
                let expected_len = Suite::by_id(suite).ok()?.hash.output_len();
                let messages = &plaintext[..inner.len];
                has_malformed_finished(messages, expected_len).then_some(Alert::DecodeError)
            }
            ContentType::ALERT | ContentType::APPLICATION_DATA => None,
            // RFC 8446 §5: the type is unknown, or never sealed.
            _ => Some(Alert::UnexpectedMessage),
        }
    }
}

/// Returns `true` if the last of these messages is a Finished whose length is not `expected_len`,
/// the length of the hash.
fn has_malformed_finished(mut messages: &[u8], expected_len: usize) -> bool {
    while let &[message_type, high, middle, low, ref rest @ ..] = messages {
        let len = u32::from_be_bytes([0, high, middle, low]) as usize;
        match rest.get(len..) {
            Some([]) => return message_type == FINISHED && len != expected_len,
            Some(behind) => messages = behind,
            None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(message_type: u8, len: u8) -> Vec<u8> {
        [
            &[message_type, 0, 0, len][..],
            &vec![message_type; len.into()],
        ]
        .concat()
    }

    #[test]
    fn a_finished_is_as_long_as_the_hash() {
        for (messages, malformed) in [
            (message(20, 32), false),
            (message(20, 31), true),
            (message(20, 0), true),
            (
                [message(11, 90), message(15, 70), message(20, 33)].concat(),
                true,
            ),
            (
                [message(11, 90), message(15, 70), message(20, 32)].concat(),
                false,
            ),
            (message(8, 31), false),
            (message(20, 40)[..30].to_vec(), false),
            (vec![20, 0, 0], false),
        ] {
            assert_eq!(
                has_malformed_finished(&messages, 32),
                malformed,
                "{messages:?}"
            );
        }
    }

    #[test]
    fn sealed_records_are_counted_apart_from_those_in_clear() {
        let mut counts = RecordCounts::default();
        counts.count_sent(
            b"\x16\x03\x03\0\x02hi\x14\x03\x03\0\x01\x01\x17\x03\x03\0\x03abc\x17\x03\x03\0\0",
        );
        assert_eq!((counts.sent, counts.we_sent_ccs), (2, true));
        counts.count_received([22, 3, 3, 0, 0]);
        counts.count_received([23, 3, 3, 0, 0]);
        assert_eq!((counts.received, counts.peer_sent_ccs), (1, false));
    }
}
