//! Opens records, one alone or several of application data together, and checks the opened records.

use std::time::Duration;

use super::{ReceiverState, SessionReceiver};
use crate::error::Error;
use crate::fifo::Fifo;
use crate::key::InnerPlaintext;
use crate::record::OpenedData;
use crate::stats::Counter;
use crate::wiped_memory::{WipedBytes, wipe};
use crate::wire::{ContentType, MAX_PLAINTEXT, TLS13};

/// Whether the record at the head of the wire was opened.
enum NextRecordOutcome {
    /// The record was opened, and this many bytes of data were written into the caller's buffer.
    Opened(usize),
    /// The record is incomplete, or does not fit behind the data that the read has already.
    Left,
}

/// The place of an opened record's plaintext.
enum OpenInto<'a> {
    /// In the caller's buffer.
    Caller(&'a mut [u8]),
    /// At the start of the free space of `rest`.
    Rest,
}

impl OpenInto<'_> {
    /// Returns the plaintext of the record `inner`, which is here or in the free space of `rest`.
    fn plaintext<'p>(&'p mut self, inner: InnerPlaintext, rest: &'p mut Fifo) -> &'p mut [u8] {
        match self {
            Self::Caller(out) => &mut out[..inner.len],
            Self::Rest => rest.space(inner.len),
        }
    }
}

impl SessionReceiver {
    /// Opens records into `out`, and returns the number of bytes of data written.
    ///
    /// Stops if `rest`, `event` or `state` is set. Otherwise `out` is full, or the next record is
    /// incomplete.
    pub(super) fn open_records(&mut self, out: &mut [u8], now: Duration) -> usize {
        let mut written = 0;
        while self.opens_records() {
            match self.open_next(out, written, now) {
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

    /// Opens the record at the head of the wire, into `rest` or into `out` behind its first
    /// `written` bytes. Opens several records of application data together if that takes less time.
    fn open_next(
        &mut self,
        out: &mut [u8],
        written: usize,
        now: Duration,
    ) -> Result<NextRecordOutcome, Error> {
        let Some(record) = self.opener.framing().deframe(self.wire.bytes())? else {
            return Ok(NextRecordOutcome::Left);
        };
        let out = &mut out[written..];
        if self.messages.at_boundary() {
            let (longest, opener) = (self.longest_inner(), &mut self.opener);
            let data = opener.open_data(record, out, longest, &mut self.group_size);
            if data.records > 0 {
                return Ok(self.take_data(data, now));
            }
        }
        let wire_len = record.wire_len();
        if record.inner_len() <= out.len() {
            let inner = self.opener.open_record(record, out)?;
            return self.take_record(wire_len, inner, OpenInto::Caller(out), now);
        }
        if written > 0 {
            return Ok(NextRecordOutcome::Left);
        }
        let rest = self.rest.space(record.inner_len());
        let inner = self.opener.open_record(record, rest)?;
        self.take_record(wire_len, inner, OpenInto::Rest, now)
    }

    /// Takes records of application data that were opened together off the wire.
    fn take_data(&mut self, data: OpenedData, now: Duration) -> NextRecordOutcome {
        self.wire.consume(data.consumed);
        self.records += data.records;
        self.storm.note_data(data.written, now);
        self.data += data.written as u64;
        NextRecordOutcome::Opened(data.written)
    }

    /// Takes an opened record of `wire_len` bytes off the wire, and acts on it.
    fn take_record(
        &mut self,
        wire_len: usize,
        inner: InnerPlaintext,
        mut place: OpenInto<'_>,
        now: Duration,
    ) -> Result<NextRecordOutcome, Error> {
        let count = self
            .accept_record(inner, &mut place, now)
            // No plaintext of a refused record may reach the caller.
            .inspect_err(|_| wipe(place.plaintext(inner, &mut self.rest)))?;
        // A record that ends the stream stays, so that it counts as pending until the end is
        // delivered.
        if self.state == ReceiverState::Closed {
            self.closing_record = wire_len;
        } else {
            self.wire.consume(wire_len);
        }
        Ok(NextRecordOutcome::Opened(count))
    }

    /// Acts on an opened record whose plaintext is in `place`, and returns the number of its bytes
    /// that are data in the caller's buffer.
    fn accept_record(
        &mut self,
        inner: InnerPlaintext,
        place: &mut OpenInto<'_>,
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
        // Copied, since no caller's buffer may keep a ticket. Such records are short and rare.
        let message = take_out(place.plaintext(inner, &mut self.rest));
        self.act_on_control(record_type, &message, now)?;
        Ok(0)
    }

    /// Returns the most bytes of inner plaintext: RFC 8446 §5.4 allows 2^14 + 1 with the type,
    /// RFC 5246 §6.2.3 allows 2^14.
    fn longest_inner(&self) -> usize {
        MAX_PLAINTEXT + self.type_len()
    }

    /// Returns how many bytes the content type of a record takes in its inner plaintext.
    pub(super) fn type_len(&self) -> usize {
        usize::from(self.opener.version() == TLS13)
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

    /// Checks that no other record interrupts a handshake message (RFC 8446 §5.1). An alert may,
    /// since it ends the connection.
    fn check_boundary(&self, record_type: ContentType) -> Result<(), Error> {
        let may_interrupt = matches!(record_type, ContentType::HANDSHAKE | ContentType::ALERT);
        if self.messages.at_boundary() || may_interrupt {
            return Ok(());
        }
        Err(Error::Interleaved {
            record_type: record_type.0,
        })
    }

    /// Ends the receiver with an error: the rest of the peer's bytes is ignored.
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
