//! The receiving direction of the kernel face (`docs/kernel-rules.md`, sections 3 and 4).
//!
//! # Theory of operation
//!
//! [`SocketRx`] does what the kernel's `tls_sw_recvmsg` and its stream parser do, in the same order wherever
//! the order can be seen. The caller owns the TCP socket: it puts what TCP has into `wire`
//! ([`SocketRx::space`], [`SocketRx::fed`]), and describes each `recvmsg` by a [`ReceiveCall`], which lives
//! through all steps of that call.
//!
//! **How a record goes through.** The stream parser reads the header at the head of `wire`: the record is
//! whole, or not yet, or the header is refused, which stops the parser for good and sets `sk_err`. A call
//! first takes what is open already, from the kernel's `rx_list` (`opened`), then opens records at the head,
//! until its buffers are full, a record is not for it, or bytes are missing. For those the caller asks TCP
//! and goes on with [`SocketRx::open_records`], or with [`SocketRx::go_on_without_bytes`] if TCP has none.
//! A record is opened in one of three ways:
//!
//! - `group`: together with the records behind it, straight into the caller's buffer;
//! - `open`: alone, into the caller's buffer if it fits in one piece there, else into `scratch`;
//! - `ahead`: by the worker of an offload queue, before any call. Nothing changes by that until a call comes
//!   to the record: number, pause, type and errors are the call's.
//!
//! Whichever way it was opened, `accept_head_record` takes it off the wire, spends its number, looks for a
//! KeyUpdate, and delivers it. What the call does not take of it goes to `rx_list`.
//!
//! **What a call may have.** Its first record decides the content type of the whole call. A record of
//! another type goes to `rx_list` and ends the call; a control record ends the call behind itself, and needs
//! room for a control message.
//!
//! **Where a KeyUpdate pauses.** A handshake record that begins with byte 24 pauses the direction (K-1);
//! nothing else of it is looked at. The record itself is delivered. From then on wire bytes are framed and
//! not opened, and a call fails with EKEYEXPIRED once `rx_list` is empty, until [`SocketRx::install`] puts the
//! next key in use. What was opened ahead under the old key is dropped there.
//!
//! **When errors are told.** A call that has bytes returns them, and leaves the error to the next call. A
//! record that does not open stays at the head, and every call tries it again (S3.2-2).
//!
//! **What is wiped.** Plaintext that the call may not have is overwritten in the caller's buffer, and so are
//! type and padding behind the plaintext. `rx_list`, `scratch` and what was opened ahead are wiped as they
//! are delivered, and when they are dropped.

mod ahead;
mod group;
mod open;
mod opener;
mod parser;
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
use crate::wiped::{WipedBytes, wipe};
use ahead::OpenedAhead;
use parser::StreamParser;

pub use ahead::OpenAheadOutcome;
pub use opener::RecordOpener;

/// The receiving direction of a socket: wire bytes in, plaintext out. It pauses at a KeyUpdate.
#[derive(Debug)]
pub struct SocketRx {
    key: TrafficKey,
    /// The number of the next record; it wraps, as the kernel's does.
    seq: u64,
    rekey: RxRekey,
    framing: Framing,
    parser: StreamParser,
    no_pad: NoPad,
    wire: Fifo,
    /// Opened and not yet delivered (`rx_list`). Only the last can be a control record.
    opened: VecDeque<RxListRecord>,
    scratch: WipedBytes,
    /// Memory for the scratch after next.
    spare: WipedBytes,
    ahead: OpenedAhead,
    group_size: GroupSize,
    /// Opens the records where they may have been worked on.
    opener: Option<Box<dyn RecordOpener>>,
}

/// `TLS_RX_EXPECT_NO_PAD`
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum NoPad {
    /// Padding is expected.
    #[default]
    Off,
    /// Padding is counted as a violation.
    On,
}

#[derive(Debug)]
struct RxListRecord {
    record_type: u8,
    /// Its plaintext at the start, and perhaps unused memory behind.
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

    /// The first `len` bytes that are left were delivered.
    fn take(&mut self, len: usize) {
        let start = self.left.start;
        wipe(&mut self.memory[start..start + len]);
        self.left.start += len;
    }
}

/// How far a receive call came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReceiveStep {
    /// The call is over.
    Done,
    /// No whole record is there: put in bytes and open on, or say with [`SocketRx::go_on_without_bytes`] that
    /// there are none.
    NeedBytes,
    /// The call has to wait for bytes.
    Wait,
}

/// Why TCP has no bytes for a receive call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoBytesReason {
    /// None have come yet.
    Yet,
    /// None will come: FIN, reset, or `shutdown(RD)`.
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
            parser: StreamParser::Hungry,
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

    /// Puts the next key in use and ends a pause (K-16 … K-19).
    ///
    /// # Errors
    /// What the table of [`RxRekey`] refuses; today that is nothing.
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

    /// Begins a receive call: delivers what is open already, then opens the next records.
    ///
    /// # Errors
    /// As [`SocketRx::open_records`], and [`Error::NoControlRoom`].
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
    /// [`Error::KeyExpired`], [`Error::NoControlRoom`], [`Error::BadTag`], [`Error::NoContentType`];
    /// none of them once bytes were copied.
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

    /// Ends a call for which TCP has no bytes, or tells that it has to wait (`docs/kernel-rules.md`, S3.4).
    ///
    /// # Errors
    /// What `sk_err` holds, which is taken out only if no bytes were copied.
    pub fn go_on_without_bytes(
        &mut self,
        call: &ReceiveCall,
        reason: NoBytesReason,
        shared: &SocketShared,
    ) -> Result<ReceiveStep, CallFault> {
        if call.satisfied() || (call.copied() && shared.error.peek().is_some()) {
            return Ok(ReceiveStep::Done);
        }
        match (shared.error.take(), reason) {
            (Some(fault), _) => Err(fault),
            (None, NoBytesReason::Ended) => Ok(ReceiveStep::Done),
            (None, NoBytesReason::Yet) => Ok(ReceiveStep::Wait),
        }
    }

    /// Returns memory for `len` wire bytes; [`SocketRx::fed`] takes over those that came.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        self.wire.space(len)
    }

    /// Takes over the first `len` bytes of the last [`SocketRx::space`].
    pub fn fed(&mut self, len: usize, shared: &SocketShared) {
        self.wire.commit(len);
        self.parse(shared);
    }

    /// Takes memory from `pool` for what will be received.
    pub fn borrow_memory(&mut self, pool: &mut FifoPool) {
        pool.lend(&mut self.wire);
    }

    /// Returns memory that holds nothing to `pool`.
    pub fn return_memory(&mut self, pool: &mut FifoPool) {
        pool.collect(&mut self.wire);
        if self.opened.is_empty() {
            (self.scratch, self.spare) = (WipedBytes::new(), WipedBytes::new());
        }
    }

    /// True when a receive call has something to deliver, as poll sees it (`docs/kernel-rules.md`,
    /// S3.6 and K-13): something that is open, or a whole record while at least `low_water` bytes are
    /// not opened.
    #[must_use]
    pub fn readable(&self, low_water: usize) -> bool {
        let whole = matches!(self.parser, StreamParser::Ready(_)) && self.unopened() >= low_water;
        (whole || self.has_opened()) && !self.paused()
    }

    /// True from a KeyUpdate to the next key.
    #[must_use]
    pub fn paused(&self) -> bool {
        self.rekey == RxRekey::Paused
    }

    /// Bytes taken from TCP and not opened by a call.
    #[must_use]
    pub const fn unopened(&self) -> usize {
        self.wire.len()
    }

    /// The key in use.
    #[must_use]
    pub const fn key(&self) -> &TrafficKey {
        &self.key
    }

    /// The key in use with its running iv and number (`docs/kernel-rules.md`, S1.5-3).
    #[must_use]
    pub fn live_info(&self) -> CryptoInfo {
        self.key.live_info(self.seq)
    }

    /// The number of the next record.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// True while something that was opened waits for a call.
    #[must_use]
    pub fn has_opened(&self) -> bool {
        !self.opened.is_empty()
    }

    /// `TLS_RX_EXPECT_NO_PAD`
    #[must_use]
    pub const fn no_pad(&self) -> NoPad {
        self.no_pad
    }

    /// Sets `TLS_RX_EXPECT_NO_PAD`; a rekey keeps it (K-22).
    pub fn set_no_pad(&mut self, no_pad: NoPad) {
        self.no_pad = no_pad;
    }

    /// Delivers from `rx_list`. Returns [`ReceiveStep::Done`] at a record that is not for this call, otherwise
    /// [`ReceiveStep::NeedBytes`].
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
