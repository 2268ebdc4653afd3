//! Opening and delivering the record at the head.

use crate::error::Error;
use crate::key::{InnerPlaintext, TrafficKey};
use crate::rekey::RxRekeyEvent;
use crate::socket::rx::{NoPad, ReceiveStep, RxListRecord, SocketRx, StreamParser};
use crate::socket::{
    BehindPlaintext, CallFault, ReceiveBuffers, ReceiveCall, RecordAdmission, SocketShared,
};
use crate::stats::Counter;
use crate::wiped_memory::{WipedBytes, wipe};
use crate::wire::{ContentType, KEY_UPDATE, TLS13};

impl SocketRx {
    /// Opens the record of `len` bytes at the head, and delivers as much of it as this call may.
    pub(super) fn open_next(
        &mut self,
        len: usize,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
        shared: &SocketShared,
    ) -> Result<ReceiveStep, CallFault> {
        let inner_len = self.key.inner_len(len)?;
        let fits = self.delivers(inner_len, call, out);
        let direct = fits && self.opener.is_none() && self.ahead.is_empty();
        let place = if direct && out.next_piece().len() >= inner_len {
            OpenDestination::Direct
        } else {
            OpenDestination::Aside
        };
        let inner = match self.open(len, inner_len, place, out) {
            Ok(inner) => inner,
            Err(error) => {
                if error == Error::NoContentType && self.expects_no_padding() && fits {
                    // All zeros: padding, which was not expected.
                    count_padded(shared);
                }
                return leave_at_head(error, call, shared);
            }
        };
        let step = self.accept_head_record(HeadRecord { len, inner, place }, call, out, shared)?;
        if step != ReceiveStep::Done {
            self.group_size.speed_up();
        }
        Ok(step)
    }

    /// Takes the opened record at the head off the wire, and delivers as much of it as this call
    /// may.
    fn accept_head_record(
        &mut self,
        HeadRecord { len, inner, place }: HeadRecord,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
        shared: &SocketShared,
    ) -> Result<ReceiveStep, CallFault> {
        // Nothing here may fail to keep the record: its number is spent.
        if self.expects_no_padding() && self.delivers(inner.inner_len, call, out) {
            count_retry(inner, shared);
        }
        let plaintext = self.plaintext(inner, place, out);
        let key_update = is_key_update(inner, plaintext);
        self.consume_head_record(len, shared);
        if key_update {
            self.pause_at_key_update(shared)?;
        }
        self.deliver_record(inner, place, call, out)
    }

    /// Returns `true` if this call takes the whole plaintext of a record.
    fn delivers(&self, inner_len: usize, call: &ReceiveCall, out: &ReceiveBuffers<'_, '_>) -> bool {
        !call.peeks() && self.fits(inner_len, out)
    }

    /// Opens the record of `len` bytes at the head and moves it to `rx_list`, for a later call.
    pub(super) fn open_aside(
        &mut self,
        len: usize,
        shared: &SocketShared,
    ) -> Result<(), CallFault> {
        let inner_len = self.key.inner_len(len)?;
        let inner = self
            .open(
                len,
                inner_len,
                OpenDestination::Aside,
                &mut ReceiveBuffers::new(&mut []),
            )
            .inspect_err(|&error| note_failure(error, shared))?;

        // Nothing below may fail to keep the record: its number is spent.
        let plaintext = &self.scratch[..inner.len];
        let key_update = is_key_update(inner, plaintext);
        self.keep_scratch(inner, 0);
        self.consume_head_record(len, shared);
        if key_update {
            self.pause_at_key_update(shared)?;
        }
        Ok(())
    }

    /// Opens the record of `len` bytes at the head into `place`.
    fn open(
        &mut self,
        len: usize,
        inner_len: usize,
        place: OpenDestination,
        out: &mut ReceiveBuffers<'_, '_>,
    ) -> Result<InnerPlaintext, Error> {
        if let Some(inner) = self.ahead.take(&mut self.scratch) {
            return Ok(inner);
        }
        if let Some(opener) = &mut self.opener {
            self.scratch.make_room(inner_len);
            let record = &mut self.wire.bytes_mut()[..len];
            return opener.open(&self.key, self.seq, record, &mut self.scratch);
        }
        let record = &self.wire.bytes()[..len];
        match place {
            OpenDestination::Direct => open_direct(&self.key, self.seq, record, inner_len, out),
            OpenDestination::Aside => {
                self.scratch.make_room(inner_len);
                self.key.open(self.seq, record, &mut self.scratch)
            }
        }
    }

    /// Returns the plaintext of an opened record, which lies in `place`.
    fn plaintext<'a>(
        &'a mut self,
        inner: InnerPlaintext,
        place: OpenDestination,
        out: &'a mut ReceiveBuffers<'_, '_>,
    ) -> &'a mut [u8] {
        match place {
            OpenDestination::Direct => &mut out.next_piece()[..inner.len],
            OpenDestination::Aside => &mut self.scratch[..inner.len],
        }
    }

    /// Takes the opened record off the wire, spends its number, and parses the next header.
    pub(super) fn consume_head_record(&mut self, len: usize, shared: &SocketShared) {
        self.wire.consume(len);
        if let Some(opener) = &mut self.opener {
            opener.spent(len);
        }
        self.parser = StreamParser::NeedsBytes;
        self.seq = self.seq.wrapping_add(1);
        if self.seq == 0 {
            // The record is delivered nevertheless (docs/kernel-rules.md, S2.3-2).
            shared.error.set_in_call(Error::SeqExhausted);
        }
        if self.parse(shared) == StreamParser::Stopped {
            // The kernel checks the next header in this call, even if it arrived earlier.
            shared.error.outdate_tcp();
        }
    }

    /// Pauses the direction. Only the first byte of a handshake record is checked (K-1), in TLS 1.2
    /// as well (K-3).
    pub(super) fn pause_at_key_update(&mut self, shared: &SocketShared) -> Result<(), Error> {
        self.rekey = self.rekey.on(RxRekeyEvent::KeyUpdateRead)?;
        if let Some(opener) = &mut self.opener {
            opener.key_update_read();
        }
        shared.stats.add(Counter::TlsRxRekeyReceived);
        Ok(())
    }

    /// Delivers an opened record, which lies in `place`, or moves it to `rx_list`.
    fn deliver_record(
        &mut self,
        inner: InnerPlaintext,
        place: OpenDestination,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
    ) -> Result<ReceiveStep, CallFault> {
        let admitted = call.admit_record(inner.record_type);
        if admitted != Ok(RecordAdmission::ThisCall) {
            // It is not for this call, so no byte of it may stay in the caller's buffer.
            match place {
                OpenDestination::Direct => {
                    let plaintext = self.plaintext(inner, place, out);
                    let memory = WipedBytes::from(&*plaintext);
                    wipe(plaintext);
                    self.opened
                        .push_back(RxListRecord::new(inner.record_type, memory));
                }
                OpenDestination::Aside => self.keep_scratch(inner, 0),
            }
            return admitted
                .map(|_| ReceiveStep::Done)
                .or_else(|error| end(error, call));
        }
        let copied = match place {
            OpenDestination::Direct => inner.len,
            OpenDestination::Aside => out.copy(&self.scratch[..inner.len]),
        };
        if place == OpenDestination::Direct {
            out.advance(copied);
        }
        call.add(copied);
        let taken = if call.peeks() { 0 } else { copied };
        if call.peeks() || taken < inner.len {
            self.keep_scratch(inner, taken);
        } else {
            if place == OpenDestination::Aside {
                wipe(&mut self.scratch[..inner.len]);
            }
            call.finish_record();
        }
        Ok(next_step(call))
    }

    /// Moves the plaintext in `scratch` to `rx_list`. Its first `start` bytes were delivered.
    fn keep_scratch(&mut self, inner: InnerPlaintext, start: usize) {
        let memory = if 2 * inner.len < self.scratch.len() {
            // Peeks may keep many records, so none may hold much more memory than it needs.
            let kept = WipedBytes::from(&self.scratch[..inner.len]);
            wipe(&mut self.scratch[..inner.len]);
            kept
        } else {
            let next = std::mem::take(&mut self.spare);
            std::mem::replace(&mut self.scratch, next)
        };
        let mut opened = RxListRecord {
            record_type: inner.record_type,
            memory,
            left: 0..inner.len,
        };
        opened.take(start);
        self.opened.push_back(opened);
    }

    /// Drops the first record of `rx_list`, which was delivered, and keeps its memory if that is
    /// large.
    pub(super) fn forget_opened(&mut self) {
        if let Some(record) = self.opened.pop_front()
            && record.memory.len() > self.spare.len()
        {
            self.spare = record.memory;
        }
    }

    /// Returns `true` if the kernel would open the record at the head into the caller's buffer,
    /// because it expects data without padding (`TLS_RX_EXPECT_NO_PAD`).
    pub(super) fn expects_no_padding(&self) -> bool {
        self.no_pad == NoPad::On
            && self.wire.bytes().first() == Some(&ContentType::APPLICATION_DATA.0)
    }

    /// Returns `true` if `out` has room for `inner_len` bytes of inner plaintext without the
    /// content type.
    pub(super) fn fits(&self, inner_len: usize, out: &ReceiveBuffers<'_, '_>) -> bool {
        inner_len <= out.room() + self.type_len()
    }

    /// Returns the length in bytes of the content type in an inner plaintext: 0 in TLS 1.2.
    pub(super) fn type_len(&self) -> usize {
        usize::from(self.key.info().version() == TLS13)
    }
}

/// The opened record at the head.
struct HeadRecord {
    /// The length of the record in bytes.
    len: usize,
    inner: InnerPlaintext,
    place: OpenDestination,
}

/// Where a record is opened into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum OpenDestination {
    /// The caller's buffer.
    Direct,
    /// `scratch`, from which plaintext is copied or moved to `rx_list`.
    Aside,
}

/// Opens a record into the caller's buffer. Type and padding behind the plaintext are overwritten:
/// the last byte, the only one in a record without padding, gets its old value back; the others are
/// set to zero.
fn open_direct(
    key: &TrafficKey,
    seq: u64,
    record: &[u8],
    inner_len: usize,
    out: &mut ReceiveBuffers<'_, '_>,
) -> Result<InnerPlaintext, Error> {
    let keep = out.behind() == BehindPlaintext::Kept;
    let piece = &mut out.next_piece()[..inner_len];
    let last = if keep { piece.last().copied() } else { None };
    let inner = key.open(seq, record, piece)?;
    let behind = &mut piece[inner.len..];
    behind.fill(0);
    if let (Some(byte), Some(place)) = (last, behind.last_mut()) {
        *place = byte;
    }
    Ok(inner)
}

/// Ends a call at a record that does not open. It stays at the head, and every call tries it again
/// (`docs/kernel-rules.md`, S3.2-2).
fn leave_at_head(
    error: Error,
    call: &ReceiveCall,
    shared: &SocketShared,
) -> Result<ReceiveStep, CallFault> {
    note_failure(error, shared);
    end(error, call)
}

/// Counts a record that does not open, and stores the error in `sk_err`.
fn note_failure(error: Error, shared: &SocketShared) {
    if error == Error::BadTag {
        shared.stats.add(Counter::TlsDecryptError);
    }
    shared.error.set_in_call(error);
}

/// Returns `true` for a record that pauses the direction (K-1).
pub(super) fn is_key_update(inner: InnerPlaintext, plaintext: &[u8]) -> bool {
    inner.record_type == ContentType::HANDSHAKE.0 && plaintext.first() == Some(&KEY_UPDATE)
}

/// Returns how a call goes on after it delivered a record: a control record ends it.
pub(super) fn next_step(call: &ReceiveCall) -> ReceiveStep {
    if call.is_control() {
        ReceiveStep::Done
    } else {
        ReceiveStep::NeedBytes
    }
}

/// Ends a call at `error`. See [`ReceiveCall::end`].
pub(super) fn end(error: Error, call: &ReceiveCall) -> Result<ReceiveStep, CallFault> {
    call.end(error).map(|()| ReceiveStep::Done)
}

/// Updates the kernel's counters for a record that was expected to be data without padding, and is
/// not.
pub(super) fn count_retry(inner: InnerPlaintext, shared: &SocketShared) {
    if inner.len + 1 < inner.inner_len {
        count_padded(shared);
    } else if inner.record_type != ContentType::APPLICATION_DATA.0 {
        shared.stats.add(Counter::TlsDecryptRetry);
    }
}

fn count_padded(shared: &SocketShared) {
    shared.stats.add(Counter::TlsRxNoPadViolation);
    shared.stats.add(Counter::TlsDecryptRetry);
}
