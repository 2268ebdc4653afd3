//! The receiving direction (`docs/kernel-rules.md`, sections 3 and 4).

mod ahead;
mod group;
mod open;
mod splice;

use std::collections::VecDeque;
use std::ops::Range;

use crate::crypto_info::CryptoInfo;
use crate::error::Error;
use crate::fifo::{Fifo, FifoPool};
use crate::key::TrafficKey;
use crate::offload::RxOffload;
use crate::record::{Framing, GroupSize};
use crate::rekey::{RxRekey, RxRekeyEvent};
use crate::socket::{CallFault, ReceiveBuffers, ReceiveCall, SocketShared};
use crate::wiped::{WipedBytes, wipe};
use ahead::OpenedAhead;

/// Wire bytes in, plaintext out; pauses at a KeyUpdate.
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
    pace: GroupSize,
    /// What it knows of a device, once it was offered one.
    pub(crate) offload: Option<RxOffload>,
}

/// The stream parser (`docs/kernel-rules.md`, S3.1).
///
/// | state   | bytes came                      | record opened |
/// |---------|---------------------------------|---------------|
/// | Hungry  | Hungry, Ready, or Stopped       | –             |
/// | Ready   | Ready                           | Hungry        |
/// | Stopped | Stopped                         | –             |
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StreamParser {
    /// The record at the head is not whole.
    Hungry,
    /// It is, with so many bytes.
    Ready(usize),
    /// A header was bad: for good.
    Stopped,
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
    /// Its plaintext, and perhaps more.
    memory: WipedBytes,
    /// What is not delivered of it.
    left: Range<usize>,
}

impl RxListRecord {
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
    /// It is over.
    Done,
    /// There is no whole record: give bytes, or say with [`SocketRx::starved`] that there are none.
    NeedBytes,
    /// It has to wait for bytes.
    Wait,
}

/// Why there are no bytes.
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
            pace: GroupSize::default(),
            offload: None,
        }
    }

    /// Puts the next key in use and ends a pause (K-16 … K-19).
    ///
    /// # Errors
    /// None today; the table of [`RxRekey`] decides.
    pub fn install(&mut self, key: TrafficKey) -> Result<(), Error> {
        let rekey = self.rekey.on(RxRekeyEvent::KeyInstalled)?;
        let next = key.info().rec_seq;
        let past = std::mem::replace(&mut self.key, key);
        if let Some(offload) = &mut self.offload {
            offload.replaced(past, self.seq);
        }
        self.ahead.clear();
        self.seq = next;
        self.rekey = rekey;
        Ok(())
    }

    /// Begins a call: what is opened already, then the next records.
    ///
    /// # Errors
    /// As [`SocketRx::advance`], and [`Error::NoControlRoom`].
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
        self.advance(call, out, shared)
    }

    /// Opens records until the call is over or bytes are missing.
    ///
    /// # Errors
    /// [`Error::KeyExpired`], [`Error::NoControlRoom`], [`Error::BadTag`], [`Error::NoContentType`];
    /// none of them once bytes were copied.
    pub fn advance(
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

    /// Says how a call goes on when no bytes can be had (`docs/kernel-rules.md`, S3.4).
    ///
    /// # Errors
    /// What `sk_err` holds, which is taken out only if no bytes were copied.
    pub fn starved(
        &mut self,
        call: &ReceiveCall,
        dry: NoBytesReason,
        shared: &SocketShared,
    ) -> Result<ReceiveStep, CallFault> {
        if call.satisfied() || (call.copied() && shared.error.peek().is_some()) {
            return Ok(ReceiveStep::Done);
        }
        match (shared.error.take(), dry) {
            (Some(fault), _) => Err(fault),
            (None, NoBytesReason::Ended) => Ok(ReceiveStep::Done),
            (None, NoBytesReason::Yet) => Ok(ReceiveStep::Wait),
        }
    }

    /// Room for wire bytes; [`SocketRx::fed`] tells how many came.
    pub fn space(&mut self, len: usize) -> &mut [u8] {
        self.wire.space(len)
    }

    /// `len` bytes of the space last given have come.
    pub fn fed(&mut self, len: usize, shared: &SocketShared) {
        self.wire.commit(len);
        self.parse(shared);
    }

    /// Takes memory from `pool` for what will be received.
    pub fn borrow_memory(&mut self, pool: &mut FifoPool) {
        pool.lend(&mut self.wire);
    }

    /// Gives memory that holds nothing back to `pool`.
    pub fn return_memory(&mut self, pool: &mut FifoPool) {
        pool.collect(&mut self.wire);
        if self.opened.is_empty() {
            (self.scratch, self.spare) = (WipedBytes::new(), WipedBytes::new());
        }
    }

    /// Judges the header at the head by bytes that stay with TCP: an error is set when it arrives.
    pub fn foresee(&mut self, next: &[u8], shared: &SocketShared) {
        let mut head = [0; LONGEST_HEAD];
        let have = self.wire.bytes();
        let both = have.iter().chain(next).copied();
        let len = head
            .iter_mut()
            .zip(both)
            .map(|(to, from)| *to = from)
            .count();
        if let Err(error) = self.framing.announced(&head[..len]) {
            self.stop(error, shared);
        }
    }

    /// True while [`SocketRx::foresee`] may find something.
    #[must_use]
    pub fn may_foresee(&self) -> bool {
        self.parser == StreamParser::Hungry && self.framing.announced(self.wire.bytes()) == Ok(None)
    }

    /// True when a receive call has something to deliver, as poll sees it (`docs/kernel-rules.md`,
    /// S3.6 and K-13): something that is open, or a whole record while at least `low_water` bytes are
    /// not opened.
    #[must_use]
    pub fn readable(&self, low_water: usize) -> bool {
        let whole = matches!(self.parser, StreamParser::Ready(_)) && self.unopened() >= low_water;
        (whole || self.has_opened()) && !self.paused()
    }

    /// True while the record at the head is not whole.
    #[must_use]
    pub fn hungry(&self) -> bool {
        self.parser == StreamParser::Hungry
    }

    /// True once a bad header has stopped the parser.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.parser == StreamParser::Stopped
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

    fn parse(&mut self, shared: &SocketShared) -> StreamParser {
        if self.parser == StreamParser::Hungry {
            match self.framing.deframe(self.wire.bytes()) {
                Ok(Some(frame)) => self.parser = StreamParser::Ready(frame.len),
                Ok(None) => {}
                Err(error) => self.stop(error, shared),
            }
        }
        self.parser
    }

    fn stop(&mut self, error: Error, shared: &SocketShared) {
        self.parser = StreamParser::Stopped;
        shared.error.set(error);
    }

    /// Walks `rx_list`; Done when a record is not for this call.
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
            if !call.admit(record.record_type)? {
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

/// A header and an explicit nonce.
const LONGEST_HEAD: usize = 13;
