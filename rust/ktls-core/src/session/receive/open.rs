//! Opening records, several of application data together or one alone, and checking what was opened.

use std::time::Duration;

use super::{ReceiverState, SessionReceiver};
use crate::error::Error;
use crate::key::InnerPlaintext;
use crate::record::OpenedData;
use crate::stats::Counter;
use crate::wiped::{WipedBytes, wipe};
use crate::wire::{ContentType, MAX_PLAINTEXT, TLS13};

/// What became of the record at the head of the wire.
enum NextRecordOutcome {
    /// It was opened, and this many bytes of data were put into the caller's buffer.
    Opened(usize),
    /// It is not whole, or does not fit behind the data that the read has already.
    Left,
}

/// Where the plaintext of an opened record lies.
enum OpenInto<'a> {
    /// In the caller's buffer.
    Caller(&'a mut [u8]),
    /// At the start of the free space of `rest`.
    Rest,
}

impl SessionReceiver {
    /// Opens records until something stops it; returns how many bytes of data it put into `out`.
    ///
    /// What has stopped it shows in `rest`, `event` and `state`; if none of them does, `out` is full or the
    /// next record is not whole.
    pub(super) fn open_records(&mut self, out: &mut [u8], now: Duration) -> usize {
        let mut written = 0;
        while self.opens_records() {
            let opened = match self.open_data_records(&mut out[written..], now) {
                Some(count) => Ok(NextRecordOutcome::Opened(count)),
                None => self.open_next_record(out, written, now),
            };
            match opened {
                Ok(NextRecordOutcome::Opened(count)) => written += count,
                Ok(NextRecordOutcome::Left) => break,
                Err(error) => self.fail(error),
            }
        }
        written
    }

    fn opens_records(&self) -> bool {
        self.rest.is_empty() && self.event.is_none() && self.state == ReceiverState::Open
    }

    /// Opens several records of application data at the head together; None if that gains nothing here.
    ///
    /// It ends before a record that is anything else, which is left to `open_next_record`.
    fn open_data_records(&mut self, out: &mut [u8], now: Duration) -> Option<usize> {
        if !self.messages.at_boundary() {
            return None;
        }
        let longest = self.longest_inner();
        let OpenedData {
            records,
            consumed,
            written,
        } = self
            .opener
            .open_data(self.wire.bytes(), out, longest, &mut self.group_size);
        self.wire.consume(consumed);
        self.records += records;
        self.storm.note_data(written, now);
        self.data += written as u64;
        (records > 0).then_some(written)
    }

    /// Opens the record at the head behind the first `written` bytes of `out`, or into `rest`.
    fn open_next_record(
        &mut self,
        out: &mut [u8],
        written: usize,
        now: Duration,
    ) -> Result<NextRecordOutcome, Error> {
        let Some(frame) = self.opener.framing().deframe(self.wire.bytes())? else {
            return Ok(NextRecordOutcome::Left);
        };
        let (inner_len, record) = (frame.inner_len(), frame.bytes());
        let len = record.len();
        let out = &mut out[written..];
        let count = if inner_len <= out.len() {
            let inner = self.opener.open(record, out)?;
            self.accept_record(inner, OpenInto::Caller(&mut *out), now)
                // Nothing of a record that is refused reaches the caller.
                .inspect_err(|_| wipe(&mut out[..inner.len]))?
        } else if written > 0 {
            return Ok(NextRecordOutcome::Left);
        } else {
            let inner = self.opener.open(record, self.rest.space(inner_len))?;
            self.accept_record(inner, OpenInto::Rest, now)
                .inspect_err(|_| wipe(self.rest.space(inner.len)))?
        };
        // A record that ends the stream stays, so that it counts as pending until the end is told.
        if self.state == ReceiverState::Open {
            self.wire.consume(len);
        }
        Ok(NextRecordOutcome::Opened(count))
    }

    /// Acts on an opened record whose plaintext lies in `place`; returns how many bytes of it are data in
    /// the caller's buffer.
    fn accept_record(
        &mut self,
        inner: InnerPlaintext,
        place: OpenInto<'_>,
        now: Duration,
    ) -> Result<usize, Error> {
        self.records += 1;
        self.check_len(inner)?;
        let record_type = ContentType(inner.record_type);
        self.check_boundary(record_type)?;
        if record_type == ContentType::APPLICATION_DATA {
            self.group_size.speed_up();
            self.storm.note_data(inner.len, now);
            self.data += inner.len as u64;
            return Ok(match place {
                OpenInto::Caller(_) => inner.len,
                OpenInto::Rest => {
                    self.rest.commit(inner.len);
                    0
                }
            });
        }
        // Copied, since it is short and rare, and no caller's buffer may keep a ticket.
        let message = match place {
            OpenInto::Caller(out) => take_out(&mut out[..inner.len]),
            OpenInto::Rest => take_out(self.rest.space(inner.len)),
        };
        self.act_on_control(record_type, &message, now)?;
        Ok(0)
    }

    /// Returns the most bytes of inner plaintext: RFC 8446 §5.4 allows 2^14 + 1 with the type,
    /// RFC 5246 §6.2.3 allows 2^14.
    fn longest_inner(&self) -> usize {
        MAX_PLAINTEXT + usize::from(self.opener.version() == TLS13)
    }

    fn check_len(&self, inner: InnerPlaintext) -> Result<(), Error> {
        let max = self.longest_inner();
        if inner.inner_len > max {
            return Err(Error::PlaintextTooLong {
                len: inner.inner_len,
                max,
            });
        }
        Ok(())
    }

    /// RFC 8446 §5.1: other records must not come inside a handshake message. An alert ends it.
    fn check_boundary(&self, record_type: ContentType) -> Result<(), Error> {
        let may_interrupt = matches!(record_type, ContentType::HANDSHAKE | ContentType::ALERT);
        if self.messages.at_boundary() || may_interrupt {
            return Ok(());
        }
        Err(Error::Interleaved {
            record_type: record_type.0,
        })
    }

    /// Ends the receiver: what the peer sent from here on is not looked at.
    fn fail(&mut self, error: Error) {
        if error == Error::BadTag {
            self.setting.stats.add(Counter::TlsDecryptError);
        }
        self.state = ReceiverState::Failed(error);
    }
}

/// Moves `plaintext` to memory that is wiped when it is dropped.
fn take_out(plaintext: &mut [u8]) -> WipedBytes {
    let taken = WipedBytes::from(&*plaintext);
    wipe(plaintext);
    taken
}
