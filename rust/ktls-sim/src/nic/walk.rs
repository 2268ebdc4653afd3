//! Following records through a stream that is given in order.

use ktls_core::key::TrafficKey;
use ktls_core::wire::{HEADER_LEN, Header, TAG_LEN};

use crate::nic::framed::{keystream, seal_framed};

/// A place in a stream of records under one key.
#[derive(Debug)]
pub(super) struct RecordWalk {
    /// The next byte.
    pub(super) position: u64,
    /// The number of the record that the next byte belongs to.
    pub(super) seq: u64,
    /// That record so far, before it was worked on.
    record: Vec<u8>,
    /// Its length, once its header is whole; 0 before.
    len: usize,
    /// What its inner plaintext is XORed with.
    keystream: Vec<u8>,
    /// Its tag as this key makes it, once the device sealed it.
    tag: Vec<u8>,
}

/// What a device makes of the bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WalkTask {
    /// Framed records become sealed ones.
    Seal,
    /// Sealed records become opened ones.
    Open,
}

impl RecordWalk {
    /// Starts at the first byte of a record.
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

    /// Works on the next bytes in place; false when a tag in them was wrong.
    pub(super) fn run(&mut self, key: &TrafficKey, task: WalkTask, mut bytes: &mut [u8]) -> bool {
        let mut authentic = true;
        self.position += bytes.len() as u64;
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at_mut(self.next_border(key).min(bytes.len()));
            bytes = rest;
            self.work(key, task, piece);
            if self.len > 0 && self.record.len() == self.len {
                authentic &= task == WalkTask::Seal || self.is_authentic(key);
                self.next_record(self.position, 1);
            }
        }
        authentic
    }

    /// Where the next record starts, once the header of this one is known.
    pub(super) fn next_start(&self) -> Option<u64> {
        let left = self.len.checked_sub(self.record.len())?;
        (self.len > 0).then(|| self.position + left as u64)
    }

    /// Goes on at a later record.
    pub(super) fn next_record(&mut self, position: u64, ahead: u64) {
        self.position = position;
        self.seq = self.seq.wrapping_add(ahead);
        self.record.clear();
        self.len = 0;
    }

    /// Bytes to the end of header, body or tag, whichever comes next.
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

    /// Works on a piece that lies in one part of the record.
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
            // A header that lies about its length is walked as the shortest record.
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

/// XORs as many bytes as there are.
pub(crate) fn xor(bytes: &mut [u8], stream: &[u8]) {
    for (byte, key) in bytes.iter_mut().zip(stream) {
        *byte ^= key;
    }
}
