//! Blame, errno and alert of every error. The matches have no `_`, so each new error must be added
//! to them.

use crate::error::{Alert, Blame, Errno, Error};

impl Error {
    /// Returns who caused the error.
    #[must_use]
    pub const fn blame(self) -> Blame {
        match self {
            Self::BadTag
            | Self::RecordTooLong { .. }
            | Self::RecordTooShort { .. }
            | Self::BadRecordVersion { .. }
            | Self::NotOneRecord { .. }
            | Self::NoContentType
            | Self::PlaintextTooLong { .. }
            | Self::UnexpectedRecord { .. }
            | Self::UnexpectedMessage { .. }
            | Self::EmptyFragment { .. }
            | Self::Interleaved { .. }
            | Self::DataAfterKeyUpdate
            | Self::BadKeyUpdateLength { .. }
            | Self::BadKeyUpdateValue { .. }
            | Self::KeyUpdateStorm { .. }
            | Self::HandshakeTooLong { .. }
            | Self::BadTicket
            | Self::BadAlertLength { .. }
            | Self::AlertReceived(_)
            | Self::Truncated => Blame::Peer,
            Self::SeqExhausted
            | Self::KeyExhausted { .. }
            | Self::KeyUpdatesExhausted
            | Self::SlotsFull { .. }
            | Self::NoMemory { .. } => Blame::Limit,
            Self::NoKey
            | Self::KeyExpired
            | Self::UnknownVersion { .. }
            | Self::UnknownCipher { .. }
            | Self::UnknownSuite { .. }
            | Self::UnknownSuite12 { .. }
            | Self::CipherMissing { .. }
            | Self::CipherNotIn13 { .. }
            | Self::BadSetting { .. }
            | Self::BadLength { .. }
            | Self::RekeyMismatch { .. }
            | Self::KeyUsed
            | Self::OneSecret
            | Self::NoRecordTypeZero
            | Self::NoRekeyIn12
            | Self::FragmentTooLong { .. }
            | Self::NoRoom { .. }
            | Self::PieceOutside { .. }
            | Self::SendClosed
            | Self::MessageIncomplete
            | Self::Dead
            | Self::StaleSlot { .. }
            | Self::UnknownUlp
            | Self::NoUlpName
            | Self::UlpAttached
            | Self::NotEstablished
            | Self::NotTcp
            | Self::NoUlp
            | Self::UlpUnsupported
            | Self::UnknownOption { .. }
            | Self::BadOption { .. }
            | Self::OptionNotNow { .. }
            | Self::OpenRecord { .. }
            | Self::DirectionsDiffer { .. }
            | Self::BadFlags { .. }
            | Self::MoreAndEor
            | Self::TypeWithMore
            | Self::BadControlType { .. }
            | Self::EmptyControl
            | Self::NoRecordType
            | Self::BadSocketControl { .. }
            | Self::ControlSpliced { .. }
            | Self::NoControlRoom { .. } => Blame::Caller,
        }
    }

    /// Returns the errno of a kernel TLS socket in this case, or the closest one if the kernel has
    /// no such case.
    #[must_use]
    pub const fn errno(self) -> Errno {
        match self {
            Self::BadTag
            | Self::RecordTooShort { .. }
            | Self::NotOneRecord { .. }
            | Self::NoContentType
            | Self::SeqExhausted => Errno::BadMsg,
            Self::RecordTooLong { .. }
            | Self::PlaintextTooLong { .. }
            | Self::FragmentTooLong { .. } => Errno::MsgSize,
            Self::BadRecordVersion { .. }
            | Self::UnknownVersion { .. }
            | Self::UnknownCipher { .. }
            | Self::UnknownSuite { .. }
            | Self::UnknownSuite12 { .. }
            | Self::CipherNotIn13 { .. }
            | Self::BadSetting { .. }
            | Self::BadLength { .. }
            | Self::RekeyMismatch { .. }
            | Self::KeyUsed
            | Self::OneSecret
            | Self::NoRecordTypeZero
            | Self::PieceOutside { .. }
            | Self::NoUlpName
            | Self::BadOption { .. }
            | Self::OptionNotNow { .. }
            | Self::DirectionsDiffer { .. }
            | Self::MoreAndEor
            | Self::TypeWithMore
            | Self::BadControlType { .. }
            | Self::EmptyControl
            | Self::NoRecordType
            | Self::BadSocketControl { .. }
            | Self::ControlSpliced { .. } => Errno::Inval,
            Self::UnexpectedRecord { .. }
            | Self::UnexpectedMessage { .. }
            | Self::EmptyFragment { .. }
            | Self::Interleaved { .. }
            | Self::DataAfterKeyUpdate
            | Self::BadKeyUpdateLength { .. }
            | Self::BadKeyUpdateValue { .. }
            | Self::KeyUpdateStorm { .. }
            | Self::HandshakeTooLong { .. }
            | Self::BadTicket
            | Self::BadAlertLength { .. } => Errno::Proto,
            Self::AlertReceived(_) => Errno::ConnAborted,
            Self::Truncated => Errno::ConnReset,
            Self::NoKey | Self::NoRekeyIn12 | Self::OpenRecord { .. } | Self::MessageIncomplete => {
                Errno::Busy
            }
            Self::UlpAttached => Errno::Exist,
            Self::NotEstablished => Errno::NotConn,
            Self::NotTcp | Self::NoUlp | Self::UnknownOption { .. } => Errno::NoProtoOpt,
            Self::UlpUnsupported | Self::BadFlags { .. } => Errno::OpNotSupp,
            Self::NoControlRoom { .. } => Errno::Io,
            Self::KeyExpired | Self::KeyExhausted { .. } | Self::KeyUpdatesExhausted => {
                Errno::KeyExpired
            }
            Self::CipherMissing { .. } | Self::StaleSlot { .. } | Self::UnknownUlp => Errno::NoEnt,
            Self::NoRoom { .. } => Errno::NoBufs,
            Self::SendClosed | Self::Dead => Errno::Pipe,
            Self::SlotsFull { .. } => Errno::NoSpc,
            Self::NoMemory { .. } => Errno::NoMem,
        }
    }

    /// Returns the alert to send to the peer, if one is required (RFC 8446 §6.2).
    #[must_use]
    pub const fn alert(self) -> Option<Alert> {
        match self {
            Self::BadTag | Self::RecordTooShort { .. } | Self::NotOneRecord { .. } => {
                Some(Alert::BadRecordMac)
            }
            Self::RecordTooLong { .. } | Self::PlaintextTooLong { .. } => {
                Some(Alert::RecordOverflow)
            }
            Self::BadRecordVersion { .. } => Some(Alert::ProtocolVersion),
            Self::NoContentType
            | Self::UnexpectedRecord { .. }
            | Self::UnexpectedMessage { .. }
            | Self::EmptyFragment { .. }
            | Self::Interleaved { .. }
            | Self::DataAfterKeyUpdate
            | Self::KeyUpdateStorm { .. } => Some(Alert::UnexpectedMessage),
            Self::BadKeyUpdateLength { .. } | Self::BadAlertLength { .. } | Self::BadTicket => {
                Some(Alert::DecodeError)
            }
            Self::BadKeyUpdateValue { .. } | Self::HandshakeTooLong { .. } => {
                Some(Alert::IllegalParameter)
            }
            Self::SeqExhausted | Self::KeyExhausted { .. } => Some(Alert::InternalError),
            Self::AlertReceived(_)
            | Self::Truncated
            | Self::NoKey
            | Self::KeyExpired
            | Self::KeyUpdatesExhausted
            | Self::UnknownVersion { .. }
            | Self::UnknownCipher { .. }
            | Self::UnknownSuite { .. }
            | Self::UnknownSuite12 { .. }
            | Self::CipherMissing { .. }
            | Self::CipherNotIn13 { .. }
            | Self::BadSetting { .. }
            | Self::BadLength { .. }
            | Self::RekeyMismatch { .. }
            | Self::KeyUsed
            | Self::OneSecret
            | Self::NoRecordTypeZero
            | Self::NoRekeyIn12
            | Self::FragmentTooLong { .. }
            | Self::NoRoom { .. }
            | Self::PieceOutside { .. }
            | Self::SendClosed
            | Self::MessageIncomplete
            | Self::Dead
            | Self::StaleSlot { .. }
            | Self::SlotsFull { .. }
            | Self::NoMemory { .. }
            | Self::UnknownUlp
            | Self::NoUlpName
            | Self::UlpAttached
            | Self::NotEstablished
            | Self::NotTcp
            | Self::NoUlp
            | Self::UlpUnsupported
            | Self::UnknownOption { .. }
            | Self::BadOption { .. }
            | Self::OptionNotNow { .. }
            | Self::OpenRecord { .. }
            | Self::DirectionsDiffer { .. }
            | Self::BadFlags { .. }
            | Self::MoreAndEor
            | Self::TypeWithMore
            | Self::BadControlType { .. }
            | Self::EmptyControl
            | Self::NoRecordType
            | Self::BadSocketControl { .. }
            | Self::ControlSpliced { .. }
            | Self::NoControlRoom { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alert_is_found_by_its_code() {
        for code in 0..=u8::MAX {
            if let Some(alert) = Alert::from_code(code) {
                assert_eq!(alert.code(), code, "{alert}");
            }
        }
        assert_eq!(Alert::from_code(47), Some(Alert::IllegalParameter));
    }

    #[test]
    fn only_what_the_peer_or_a_limit_caused_owes_an_alert() {
        for error in [
            Error::NoKey,
            Error::KeyExpired,
            Error::Truncated,
            Error::AlertReceived(40),
        ] {
            assert_eq!(error.alert(), None, "{error}");
        }
        assert_eq!(Error::BadTag.alert(), Some(Alert::BadRecordMac));
        assert_eq!(Error::BadTag.blame(), Blame::Peer);
    }
}
