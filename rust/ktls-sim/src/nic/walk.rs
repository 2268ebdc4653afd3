//! Processes records in a stream whose bytes come in order.

use ktls_core::key::TrafficKey;
use ktls_core::wire::{HEADER_LEN, Header, TAG_LEN};

use crate::nic::framed::{keystream, seal_framed};

/// A position in a stream of records under one key.
#[derive(Debug)]
pub(super) struct RecordWalk {
    /// The offset of the next byte.
    pub(super) position: u64,
    /// The number of the record that the next byte belongs to.
    pub(super) seq: u64,
    /// The bytes of that record so far, before they were processed.
    record: Vec<u8>,
    /// Its length; 0 until its header is complete.
    len: usize,
    /// The keystream that its inner plaintext is XORed with.
    keystream: Vec<u8>,
    /// Its tag; empty until the device has sealed the record.
    tag: Vec<u8>,
}

/// What a device does to the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WalkTask {
    /// Seals framed records.
    Seal,
    /// Opens sealed records.
    Open,
}

/// The outcome of checking the tags in a piece of the stream.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TagVerdict {
    /// Every tag was right, or there was none to check.
    Authentic,
    /// A tag was wrong.
    Wrong,
}

impl RecordWalk {
    /// Starts at the first byte of the record with the number `seq`.
    pub(super) const fn new(position: u64, seq: u64) -> Self {
        Self {
            position,
            seq,
            record: Vec::new(),
            len: 0,
            keystream: Vec::new(),
            tag: Vec::new(),
        }
    }

    /// Processes the next bytes in place. Returns whether all tags in them were right.
    pub(super) fn run(
        &mut self,
        key: &TrafficKey,
        task: WalkTask,
        mut bytes: &mut [u8],
    ) -> TagVerdict {
        let mut verdict = TagVerdict::Authentic;
        self.position += bytes.len() as u64;
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at_mut(self.next_border(key).min(bytes.len()));
            bytes = rest;
            self.work(key, task, piece);
            if self.len > 0 && self.record.len() == self.len {
                if task == WalkTask::Open && !self.is_authentic(key) {
                    verdict = TagVerdict::Wrong;
                }
                self.next_record(self.position, 1);
            }
        }
        verdict
    }

    /// Returns where the next record starts, or `None` if the header of this one is incomplete.
    pub(super) fn next_start(&self) -> Option<u64> {
        let left = self.len.checked_sub(self.record.len())?;
        (self.len > 0).then(|| self.position + left as u64)
    }

    /// Moves to the record at `position`, whose number is `ahead` higher.
    pub(super) fn next_record(&mut self, position: u64, ahead: u64) {
        self.position = position;
        self.seq = self.seq.wrapping_add(ahead);
        self.record.clear();
        self.len = 0;
    }

    /// Returns the number of bytes to the end of the header, the body or the tag, whichever comes
    /// next.
    fn next_border(&self, key: &TrafficKey) -> usize {
        let have = self.record.len();
        if self.len == 0 {
            key.prepend() - have
        } else if have < self.len - TAG_LEN {
            self.len - TAG_LEN - have
        } else {
            self.len - have
        }
    }

    /// Processes a piece that lies within the header, the body or the tag.
    fn work(&mut self, key: &TrafficKey, task: WalkTask, piece: &mut [u8]) {
        let have = self.record.len();
        self.record.extend_from_slice(piece);
        if self.len == 0 {
            self.read_header(key);
        } else if have < self.len - TAG_LEN {
            let stream = &self.keystream[have - key.prepend()..];
            xor(piece, stream);
        } else if task == WalkTask::Seal {
            let from = have + TAG_LEN - self.len;
            piece.copy_from_slice(&self.tag(key)[from..from + piece.len()]);
        }
    }

    fn read_header(&mut self, key: &TrafficKey) {
        let Some(header) = Header::read(&self.record) else {
            return;
        };
        if self.record.len() == key.prepend() {
            // A header with a length that is too short is treated as that of the shortest record.
            self.len = (HEADER_LEN + header.len).max(key.prepend() + TAG_LEN);
            let body = self.len - key.prepend() - TAG_LEN;
            self.keystream = keystream(key, self.seq, &self.record, body);
            self.tag.clear();
        }
    }

    fn tag(&mut self, key: &TrafficKey) -> &[u8] {
        if self.tag.is_empty() {
            let mut framed = self.record.clone();
            framed.resize(self.len, 0);
            let sealed = seal_framed(key, self.seq, &framed);
            self.tag.extend_from_slice(&sealed[self.len - TAG_LEN..]);
        }
        &self.tag
    }

    fn is_authentic(&self, key: &TrafficKey) -> bool {
        let mut inner = vec![0; self.len];
        key.open(self.seq, &self.record, &mut inner).is_ok()
    }
}

/// XORs `stream` into `bytes`, up to the length of the shorter one.
pub(crate) fn xor(bytes: &mut [u8], stream: &[u8]) {
    for (byte, key) in bytes.iter_mut().zip(stream) {
        *byte ^= key;
    }
}
