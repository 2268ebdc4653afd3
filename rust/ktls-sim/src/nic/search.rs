//! Finds the records again after the device lost its place in a stream (D-13, types 0 and 2).

use ktls_core::wire::HEADER_LEN;

use crate::device::{ResyncKind, ResyncRequest};

/// Looks for headers, asks about one, and counts the records after it until the answer comes.
#[derive(Debug, Default)]
pub(super) struct HeaderSearch {
    guess: Option<HeaderGuess>,
    asked: Vec<ResyncRequest>,
}

/// Bytes that look like a header, and the records that follow if they are one.
#[derive(Debug)]
struct HeaderGuess {
    /// Offset of its last byte.
    header_end: u64,
    /// The next byte expected.
    position: u64,
    /// Where the next header must start.
    next_start: u64,
    /// The bytes of the next header that have come.
    header: Vec<u8>,
    /// Number of records from the guessed header to `next_start`.
    records: u64,
    window_closed: bool,
}

/// Whether the records could be followed through some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum SearchPlace {
    /// The place of the next header is known.
    Kept,
    /// A gap, or bytes that are no header, were in the way.
    Lost,
}

impl HeaderSearch {
    /// Searches a segment that the device cannot open.
    pub(super) fn look(&mut self, kind: ResyncKind, offset: u64, bytes: &[u8]) {
        if kind == ResyncKind::NextHint {
            return;
        }
        let lost = self
            .guess
            .as_mut()
            .is_none_or(|guess| guess.follow(offset, bytes) == SearchPlace::Lost);
        if lost {
            self.start(kind, offset, bytes);
        } else if kind == ResyncKind::Async {
            self.close_window();
        }
    }

    /// Returns the next question to the record layer, if there is one.
    pub(super) fn request(&mut self) -> Option<ResyncRequest> {
        if self.asked.is_empty() {
            return None;
        }
        Some(self.asked.remove(0))
    }

    /// Handles the answer that the header at `header_end` belongs to the record with the number
    /// `rec_seq`. Returns the offset and the number of the record to continue at, or `None` if
    /// another header was asked about.
    pub(super) fn confirm(&self, header_end: u64, rec_seq: u64) -> Option<(u64, u64)> {
        let guess = self.guess.as_ref()?;
        (guess.header_end == header_end)
            .then(|| (guess.next_start, rec_seq.wrapping_add(guess.records)))
    }

    fn start(&mut self, kind: ResyncKind, offset: u64, bytes: &[u8]) {
        self.asked.clear();
        self.guess = None;
        let Some(at) = bytes.windows(HEADER_LEN).position(is_header) else {
            return;
        };
        let start = offset + at as u64;
        let header_end = start + HEADER_LEN as u64 - 1;
        let mut guess = HeaderGuess {
            header_end,
            position: start,
            next_start: start,
            header: Vec::new(),
            records: 0,
            window_closed: false,
        };
        if guess.follow(start, &bytes[at..]) == SearchPlace::Lost {
            return;
        }
        self.guess = Some(guess);
        self.asked.push(match kind {
            ResyncKind::Async => ResyncRequest::Window {
                start: offset,
                len: bytes.len() as u64,
            },
            ResyncKind::DriverRequest | ResyncKind::NextHint => {
                ResyncRequest::Header { header_end }
            }
        });
    }

    /// The guess is certain once the next header is where it must be; then the window can be
    /// closed.
    fn close_window(&mut self) {
        let sure = |guess: &&mut HeaderGuess| guess.records > 1 && !guess.window_closed;
        if let Some(guess) = self.guess.as_mut().filter(sure) {
            guess.window_closed = true;
            self.asked.push(ResyncRequest::WindowEnd {
                header_end: guess.header_end,
            });
        }
    }
}

impl HeaderGuess {
    /// Follows the records through the next bytes.
    fn follow(&mut self, offset: u64, mut bytes: &[u8]) -> SearchPlace {
        if offset != self.position {
            // Bytes that were seen already contain nothing new; a gap may hide headers.
            if offset + (bytes.len() as u64) <= self.position {
                return SearchPlace::Kept;
            }
            return SearchPlace::Lost;
        }
        self.position += bytes.len() as u64;
        let mut at = offset;
        while !bytes.is_empty() {
            let collected = self.next_start + self.header.len() as u64;
            let skip = usize::try_from(collected.saturating_sub(at)).unwrap_or(usize::MAX);
            let Some(rest) = bytes.get(skip..) else {
                return SearchPlace::Kept;
            };
            let take = rest.len().min(HEADER_LEN - self.header.len());
            self.header.extend_from_slice(&rest[..take]);
            at += (skip + take) as u64;
            bytes = &rest[take..];
            if self.header.len() == HEADER_LEN && self.step() == SearchPlace::Lost {
                return SearchPlace::Lost;
            }
        }
        SearchPlace::Kept
    }

    /// Moves from the next header, which is complete, to the one after its record. The place is
    /// lost if it is not a header.
    fn step(&mut self) -> SearchPlace {
        if !is_header(&self.header) {
            return SearchPlace::Lost;
        }
        let body = u16::from_be_bytes([self.header[3], self.header[4]]);
        self.next_start += HEADER_LEN as u64 + u64::from(body);
        self.records += 1;
        self.header.clear();
        SearchPlace::Kept
    }
}

/// Returns `true` if `bytes` can be a record header: a type from 20 to 23, version 03 03, and a
/// length in range.
fn is_header(bytes: &[u8]) -> bool {
    let &[kind, 3, 3, high, low] = bytes else {
        return false;
    };
    let len = usize::from(u16::from_be_bytes([high, low]));
    (20..=23).contains(&kind) && (17..=16_640).contains(&len)
}
