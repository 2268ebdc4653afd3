//! TCP's sending side: it keeps the stream and retransmits what is not acknowledged.

use crate::device_socket::SealPath;
use crate::report::SentSegment;

/// The sending side of one connection. It keeps the whole stream, since runs are short.
#[derive(Debug)]
pub(crate) struct TcpSender {
    stream: Vec<u8>,
    /// The end offset of each range of the stream that has one path.
    paths: Vec<(u64, SealPath)>,
    acked: u64,
    next: u64,
    /// The offset after the last byte ever sent.
    highest: u64,
    duplicates: u32,
    backoff: u32,
    window: u64,
    /// Counts the timer's restarts, so that an outdated timer is recognised.
    pub(crate) timer: u64,
    /// The restart that armed the running timer.
    pub(crate) armed: u64,
}

/// A segment to send.
#[derive(Debug)]
pub(crate) struct CutSegment {
    pub(crate) sent: SentSegment,
    pub(crate) bytes: Vec<u8>,
}

/// The effect of an acknowledgement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum AckEffect {
    /// Nothing new is acknowledged.
    Nothing,
    /// More bytes are acknowledged.
    Progress,
    /// The acknowledgement is the third duplicate: the first missing segment is retransmitted.
    Resend,
}

impl TcpSender {
    pub(crate) const fn new(window: u64) -> Self {
        Self {
            stream: Vec::new(),
            paths: Vec::new(),
            acked: 0,
            next: 0,
            highest: 0,
            duplicates: 0,
            backoff: 0,
            window,
            timer: 1,
            armed: 0,
        }
    }

    /// Appends the next bytes of the stream.
    pub(crate) fn append(&mut self, bytes: &[u8], path: SealPath) {
        self.stream.extend_from_slice(bytes);
        let end = self.end();
        match self.paths.last_mut() {
            Some(last) if last.1 == path => last.0 = end,
            _ => self.paths.push((end, path)),
        }
    }

    /// Returns the offset after the last byte of the stream.
    pub(crate) fn end(&self) -> u64 {
        self.stream.len() as u64
    }

    /// Returns the number of bytes that are buffered and not acknowledged.
    pub(crate) fn unacked_len(&self) -> u64 {
        self.end() - self.acked
    }

    pub(crate) const fn acked(&self) -> u64 {
        self.acked
    }

    /// Returns the next segment that the window allows, of up to `most` bytes with one path.
    pub(crate) fn next_segment(&mut self, most: usize) -> Option<CutSegment> {
        let limit = self.end().min(self.acked + self.window);
        let cut = self.cut(self.next, limit, most)?;
        self.next += cut.bytes.len() as u64;
        self.highest = self.highest.max(self.next);
        Some(cut)
    }

    /// Returns the first unacknowledged segment once more, for retransmission.
    pub(crate) fn first_unacked(&self, most: usize) -> Option<CutSegment> {
        self.cut(self.acked, self.next, most)
    }

    pub(crate) fn acknowledge(&mut self, acked: u64) -> AckEffect {
        if acked > self.acked {
            self.acked = acked;
            // After a timeout, `next` may be below bytes that had arrived already.
            self.next = self.next.max(acked);
            (self.duplicates, self.backoff) = (0, 0);
            self.timer += 1;
            return AckEffect::Progress;
        }
        if acked < self.acked || self.unacked_len() == 0 {
            return AckEffect::Nothing;
        }
        self.duplicates += 1;
        if self.duplicates == DUPLICATES_TO_RESEND {
            return AckEffect::Resend;
        }
        AckEffect::Nothing
    }

    /// Handles a retransmission timeout: everything that is not acknowledged is sent again.
    pub(crate) fn timed_out(&mut self) {
        self.next = self.acked;
        self.duplicates = 0;
        self.backoff = (self.backoff + 1).min(MAX_BACKOFF);
        self.timer += 1;
    }

    /// Returns the factor by which backoff multiplies the timeout.
    pub(crate) const fn backoff_factor(&self) -> u64 {
        1 << self.backoff
    }

    fn cut(&self, from: u64, limit: u64, most: usize) -> Option<CutSegment> {
        if from >= limit {
            return None;
        }
        let &(fence, path) = self.paths.iter().find(|(end, _)| *end > from)?;
        let to = limit.min(fence).min(from + most as u64);
        Some(CutSegment {
            sent: SentSegment {
                offset: from,
                retransmission: from < self.highest,
                path,
            },
            bytes: self.stream[from as usize..to as usize].to_vec(),
        })
    }
}

const DUPLICATES_TO_RESEND: u32 = 3;
const MAX_BACKOFF: u32 = 4;
