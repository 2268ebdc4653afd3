//! TCP's receiving side: it puts segments and their marks in order.

use std::collections::{BTreeMap, VecDeque};

use crate::device::SegmentMark;
use crate::device_socket::ArrivedStream;

/// The receiving side of one connection.
#[derive(Debug, Default)]
pub(crate) struct TcpReceiver {
    in_order: u64,
    farthest: u64,
    waiting: BTreeMap<u64, (Vec<u8>, SegmentMark)>,
    ready: VecDeque<(Vec<u8>, SegmentMark)>,
}

impl TcpReceiver {
    /// Accepts a segment. The first copy of each byte is kept.
    pub(crate) fn arrive(&mut self, mut offset: u64, mut bytes: &[u8], mark: SegmentMark) {
        self.farthest = self.farthest.max(offset + bytes.len() as u64);
        while !bytes.is_empty() {
            let (skip, take) = self.skip_and_take(offset, bytes.len());
            if take > 0 {
                self.waiting.insert(offset, (bytes[..take].to_vec(), mark));
            }
            bytes = &bytes[skip + take..];
            offset += (skip + take) as u64;
        }
        while let Some(piece) = self.waiting.remove(&self.in_order) {
            self.in_order += piece.0.len() as u64;
            self.ready.push_back(piece);
        }
    }

    pub(crate) fn arrived(&self) -> ArrivedStream {
        ArrivedStream {
            in_order: self.in_order,
            farthest: self.farthest,
        }
    }

    /// Returns the next piece of the stream in order, with its mark.
    pub(crate) fn next(&mut self) -> Option<(Vec<u8>, SegmentMark)> {
        self.ready.pop_front()
    }

    /// Returns how many of the `len` bytes at `offset` to skip because they have arrived already,
    /// and how many to take. One of the two is 0.
    fn skip_and_take(&self, offset: u64, len: usize) -> (usize, usize) {
        let before = self.waiting.range(..=offset).next_back();
        let end = before.map_or(0, |(start, (bytes, _))| start + bytes.len() as u64);
        let known = end.max(self.in_order);
        if known > offset {
            return (len.min((known - offset) as usize), 0);
        }
        let next = self.waiting.range(offset..).next();
        let room = next.map_or(len, |(&start, _)| (start - offset) as usize);
        (0, len.min(room))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_copy_of_each_byte_is_kept_in_any_order() {
        let stream: Vec<u8> = (0..100).collect();
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut receiver, mut got) = (TcpReceiver::default(), Vec::new());
            while receiver.in_order < 100 {
                let from = rng.usize(0..100);
                let to = rng.usize(from + 1..=100);
                receiver.arrive(from as u64, &stream[from..to], SegmentMark::Untouched);
            }
            while let Some((bytes, _)) = receiver.next() {
                got.extend(bytes);
            }
            assert_eq!(got, stream, "seed {seed}");
        }
    }
}
