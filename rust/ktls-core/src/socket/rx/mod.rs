//! The receiving direction of the kernel face (`docs/kernel-rules.md`, sections 3 and 4).
//!
//! # Theory of operation
//!
//! [`SocketRx`] does what the kernel's `tls_sw_recvmsg` and its stream parser do, in the same order
//! wherever the order can be observed. The caller owns the TCP socket: it puts the bytes of TCP
//! into `wire` ([`SocketRx::space`], [`SocketRx::fed`]), and describes each `recvmsg` by a
//! [`ReceiveCall`], which is passed to all steps of that call.
//!
//! **The path of a record.** The stream parser reads the header at the head of `wire`: the record
//! is whole, or not yet, or the header is refused, which stops the parser for good and sets
//! `sk_err`. A call first delivers plaintext from the kernel's `rx_list` (`opened`), then opens
//! records at the head, until its buffers are full, a record is not for it, or bytes are missing.
//! The caller then reads from TCP and goes on with [`SocketRx::open_records`], or with
//! [`SocketRx::go_on_without_bytes`] if TCP has no bytes. A record is opened in one of three ways:
//!
//! - `group`: together with the records behind it, straight into the caller's buffer;
//! - `open`: alone, into the caller's buffer if it fits in one piece there, else into `scratch`;
//! - `ahead`: by the worker of an offload queue, before any call. Sequence number, pause, content
//!   type and errors take effect only when a call reaches the record.
//!
//! In each case the record is then taken off the wire, its number is spent, it is checked for a
//! KeyUpdate, and delivered (`accept_head_record`, for a group `deliver_group_record`). Plaintext
//! that the call does not take goes to `rx_list`.
//!
//! **Which records a call delivers.** Its first record decides the content type of the whole call.
//! A record of another type goes to `rx_list` and ends the call; a control record ends the call
//! behind itself, and needs room for a control message.
//!
//! **Where a KeyUpdate pauses.** A handshake record that begins with byte 24 pauses the direction
//! (K-1); nothing else of it is checked. The record itself is delivered. From then on wire bytes
//! are framed and not opened, and a call fails with EKEYEXPIRED once `rx_list` is empty, until
//! [`SocketRx::install`] installs the next key, and drops records that were opened ahead under the
//! old key.
//!
//! **When errors are returned.** A call that has bytes returns them, and leaves the error to the
//! next call. A record that does not open stays at the head, and every call tries it again
//! (S3.2-2).
//!
//! **What is wiped.** Plaintext that the call does not deliver is overwritten in the caller's
//! buffer, and so are type and padding behind the plaintext. The plaintexts in `rx_list`, in
//! `scratch` and of records opened ahead are wiped as they are delivered, and when they are
//! dropped.

mod ahead;
mod device_decrypted;
mod group;
mod open;
mod parser;
mod preload;
mod splice;

use std::collections::VecDeque;
use std::ops::Range;

use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::fifo::{Fifo, FifoPool};
use crate::key::TrafficKey;
use crate::record::{Framing, GroupSize};
use crate::rekey::{RxRekey, RxRekeyEvent};
use crate::socket::{CallFault, ReceiveBuffers, ReceiveCall, RecordAdmission, SocketShared};
use crate::wiped_memory::{WipedBytes, wipe};
use ahead::OpenedAhead;
use parser::StreamParser;

pub use ahead::OpenAheadOutcome;
pub use device_decrypted::RecordOpener;

/// The receiving direction of a socket: wire bytes in, plaintext out. It pauses at a KeyUpdate.
#[derive(Debug)]
pub struct SocketRx {
    key: TrafficKey,
    /// The sequence number of the next record. It wraps as in the kernel.
    seq: u64,
    rekey: RxRekey,
    framing: Framing,
    parser: StreamParser,
    no_pad: NoPad,
    wire: Fifo,
    /// Opened records that are not delivered yet (`rx_list`). Only the last can be a control
    /// record.
    opened: VecDeque<RxListRecord>,
    scratch: WipedBytes,
    /// Memory for `scratch` once its own has moved to `rx_list`.
    spare: WipedBytes,
    ahead: OpenedAhead,
    group_size: GroupSize,
    /// Opens the records instead of this socket if a device may have decrypted parts of them.
    opener: Option<Box<dyn RecordOpener>>,
}

/// The value of `TLS_RX_EXPECT_NO_PAD`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NoPad {
    /// Padding is expected.
    #[default]
    Off,
    /// Padding is accepted, and counted as a violation.
    On,
}

/// An opened record in `rx_list`.
#[derive(Debug)]
struct RxListRecord {
    record_type: u8,
    /// The plaintext, and perhaps unused memory behind it.
    memory: WipedBytes,
    /// The part of the plaintext that is not delivered yet.
    left: Range<usize>,
}

impl RxListRecord {
    /// Makes a record of which all of `plaintext` is left.
    fn new(record_type: u8, plaintext: WipedBytes) -> Self {
        Self {
            record_type,
            left: 0..plaintext.len(),
            memory: plaintext,
        }
    }

    /// Wipes the first `len` bytes that are left, which were delivered.
    fn take(&mut self, len: usize) {
        let start = self.left.start;
        wipe(&mut self.memory[start..start + len]);
        self.left.start += len;
    }
}

/// How a receive call goes on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReceiveStep {
    /// The call is over.
    Done,
    /// No whole record is there. If TCP has bytes, call [`SocketRx::space`], [`SocketRx::fed`] and
    /// [`SocketRx::open_records`]; otherwise [`SocketRx::go_on_without_bytes`].
    NeedBytes,
    /// The call has to wait for bytes.
    Wait,
}

/// Why TCP has no bytes for a receive call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoBytesReason {
    /// No bytes have arrived yet.
    Yet,
    /// No bytes will arrive: FIN, reset, or `shutdown(RD)`.
    Ended,
}

impl SocketRx {
    /// Starts with the first key.
    #[must_use]
    pub fn new(key: TrafficKey) -> Self {
        let info = key.info();
        Self {
            seq: info.rec_seq,
            rekey: RxRekey::Ready,
            framing: Framing::kernel(info.cipher(), info.version()),
            key,
            parser: StreamParser::NeedsBytes,
            no_pad: NoPad::Off,
            wire: Fifo::default(),
            opened: VecDeque::new(),
            scratch: WipedBytes::new(),
            spare: WipedBytes::new(),
            ahead: OpenedAhead::default(),
            group_size: GroupSize::default(),
            opener: None,
        }
    }

    /// Installs the next key and ends a pause (K-16 … K-19).
    ///
    /// # Errors
    /// Returns the errors of [`RxRekey::on`]. At present its table accepts a key in every state.
    pub fn install(&mut self, key: TrafficKey) -> Result<(), Error> {
        let rekey = self.rekey.on(RxRekeyEvent::KeyInstalled)?;
        let next = key.info().rec_seq;
        let past = std::mem::replace(&mut self.key, key);
        if let Some(opener) = &mut self.opener {
            opener.replaced(past, self.seq);
        }
        self.ahead.clear();
        self.seq = next;
        self.rekey = rekey;
        Ok(())
    }

    /// Begins a receive call: delivers opened records first, then opens the next ones.
    ///
    /// # Errors
    /// [`Error::NoControlRoom`] if a control record has no room for its control message. Also
    /// returns the errors of [`SocketRx::open_records`].
    pub fn start(
        &mut self,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
        shared: &SocketShared,
    ) -> Result<ReceiveStep, CallFault> {
        let more = self.deliver_opened(call, out)?;
        if out.room() == 0 || more == ReceiveStep::Done || call.is_control() {
            return Ok(ReceiveStep::Done);
        }
        self.open_records(call, out, shared)
    }

    /// Opens records until the call is over or bytes are missing.
    ///
    /// # Errors
    /// None of these is returned once bytes were copied.
    /// - [`Error::KeyExpired`] between a KeyUpdate and the next key.
    /// - [`Error::NoControlRoom`] if a control record has no room for its control message.
    /// - [`Error::BadTag`] if the next record does not authenticate.
    /// - [`Error::NoContentType`] if the next record is all padding.
    pub fn open_records(
        &mut self,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
        shared: &SocketShared,
    ) -> Result<ReceiveStep, CallFault> {
        while out.room() > 0 {
            if self.rekey == RxRekey::Paused {
                return call.end(Error::KeyExpired).map(|()| ReceiveStep::Done);
            }
            let StreamParser::Ready(len) = self.parse(shared) else {
                return Ok(ReceiveStep::NeedBytes);
            };
            if call.leaves_cut_records() && !self.fits(self.key.inner_len(len)?, out) {
                break;
            }
            let step = match self.open_group(len, call, out, shared)? {
                Some(step) => step,
                None => self.open_next(len, call, out, shared)?,
            };
            if step == ReceiveStep::Done {
                break;
            }
        }
        Ok(ReceiveStep::Done)
    }

    /// Decides how a call goes on for which TCP has no bytes (`docs/kernel-rules.md`, S3.4).
    ///
    /// # Errors
    /// The error in `sk_err`, which is taken out, if no bytes were copied.
    pub fn go_on_without_bytes(
        &mut self,
        call: &ReceiveCall,
        reason: NoBytesReason,
        shared: &SocketShared,
    ) -> Result<ReceiveStep, CallFault> {
        if call.has_enough() || (call.has_copied() && shared.error.peek().is_some()) {
            return Ok(ReceiveStep::Done);
        }
        match (shared.error.take(), reason) {
            (Some(fault), _) => Err(fault),
            (None, NoBytesReason::Ended) => Ok(ReceiveStep::Done),
            (None, NoBytesReason::Yet) => Ok(ReceiveStep::Wait),
        }
    }

    /// Returns memory for `len` bytes from TCP. Call [`SocketRx::fed`] after filling it.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        self.wire.space(len)
    }

    /// Appends the first `len` bytes of the last [`SocketRx::space`] to the received bytes.
    pub fn fed(&mut self, len: usize, shared: &SocketShared) {
        self.wire.commit(len);
        self.parse(shared);
    }

    /// Takes memory from `pool` for the next received bytes.
    pub fn borrow_memory(&mut self, pool: &mut FifoPool) {
        pool.lend(&mut self.wire);
    }

    /// Returns unused memory to `pool`.
    pub fn return_memory(&mut self, pool: &mut FifoPool) {
        pool.collect(&mut self.wire);
        if self.opened.is_empty() {
            (self.scratch, self.spare) = (WipedBytes::new(), WipedBytes::new());
        }
    }

    /// Returns `true` if `poll` reports the socket as readable (`docs/kernel-rules.md`, S3.6 and
    /// K-13): while not paused, if an opened record waits, or a whole record and at least
    /// `low_water` unopened bytes.
    #[must_use]
    pub fn is_readable(&self, low_water: usize) -> bool {
        let whole = matches!(self.parser, StreamParser::Ready(_)) && self.unopened() >= low_water;
        (whole || self.has_opened()) && !self.is_paused()
    }

    /// Returns `true` between a KeyUpdate and the next key.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.rekey == RxRekey::Paused
    }

    /// Returns the number of bytes that were taken from TCP and not opened by a call.
    #[must_use]
    pub const fn unopened(&self) -> usize {
        self.wire.len()
    }

    /// Returns the key in use.
    #[must_use]
    pub const fn key(&self) -> &TrafficKey {
        &self.key
    }

    /// Returns the key in use with its current iv and rec_seq (`docs/kernel-rules.md`, S1.5-3).
    #[must_use]
    pub fn live_info(&self) -> CryptoInfo {
        self.key.live_info(self.seq)
    }

    /// Returns the sequence number of the next record.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Returns `true` while an opened record waits for a call.
    #[must_use]
    pub fn has_opened(&self) -> bool {
        !self.opened.is_empty()
    }

    /// Returns the value of `TLS_RX_EXPECT_NO_PAD`.
    #[must_use]
    pub const fn no_pad(&self) -> NoPad {
        self.no_pad
    }

    /// Sets `TLS_RX_EXPECT_NO_PAD`. A rekey keeps it (K-22).
    pub fn set_no_pad(&mut self, no_pad: NoPad) {
        self.no_pad = no_pad;
    }

    /// Delivers records of `rx_list`. Returns [`ReceiveStep::Done`] at a record that is not for
    /// this call, otherwise [`ReceiveStep::NeedBytes`].
    fn deliver_opened(
        &mut self,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
    ) -> Result<ReceiveStep, CallFault> {
        let mut index = 0;
        while out.room() > 0 {
            let Some(record) = self.opened.get_mut(index) else {
                break;
            };
            if call.admit_record(record.record_type)? == RecordAdmission::LaterCall {
                return Ok(ReceiveStep::Done);
            }
            let len = out.copy(&record.memory[record.left.clone()]);
            call.add(len);
            if call.peeks() {
                index += 1;
            } else {
                record.take(len);
                if !record.left.is_empty() {
                    break;
                }
                self.forget_opened();
            }
            call.finish_record();
        }
        Ok(ReceiveStep::NeedBytes)
    }
}
