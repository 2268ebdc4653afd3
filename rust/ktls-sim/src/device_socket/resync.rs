//! Tells a receiving device where the records are (D-13). This is the record layer's side of a
//! resync.

use crate::device::{ResyncKind, ResyncRequest};

/// The record layer's state for the device's kind of resync.
#[derive(Debug)]
pub(super) enum ResyncState {
    /// Type 0: the offset of the last byte of the header that the device asked about, if it asked.
    Driver(Option<u64>),
    /// Type 1: hints after a number of untouched records.
    Hint {
        /// Number of consecutive untouched records.
        untouched: u32,
        /// A hint is due when more than this many untouched records came.
        target: u32,
        /// Whether a hint is due at the next record with nothing queued after it.
        due: bool,
    },
    /// Type 2: the window that the device asked for, if it asked.
    Async(Option<ResyncWindow>),
}

/// The headers that were read in the window of a request.
#[derive(Debug)]
pub(super) struct ResyncWindow {
    start: u64,
    len: u64,
    /// For each header, the offset of its last byte and the number of records read before it.
    log: Vec<(u64, u64)>,
    records: u64,
    asked: Option<u64>,
}

/// The record at the head of the unread stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResyncHead {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) seq: u64,
    /// Whether the device has not touched it.
    pub(super) untouched: bool,
    /// Whether nothing is queued after it.
    pub(super) last: bool,
}

/// A position in the stream: an offset and a record number.
pub(super) type RecordPosition = (u64, u64);

impl ResyncState {
    pub(super) const fn new(kind: ResyncKind) -> Self {
        match kind {
            ResyncKind::DriverRequest => Self::Driver(None),
            ResyncKind::NextHint => Self::Hint {
                untouched: 0,
                target: INITIAL_TARGET,
                due: false,
            },
            ResyncKind::Async => Self::Async(None),
        }
    }

    /// Handles a request of the device.
    pub(super) fn note_request(&mut self, request: ResyncRequest) {
        match (self, request) {
            (Self::Driver(wanted), ResyncRequest::Header { header_end }) => {
                *wanted = Some(header_end);
            }
            (Self::Async(window), ResyncRequest::Window { start, len }) => {
                *window = Some(ResyncWindow {
                    start,
                    len,
                    log: Vec::new(),
                    records: 0,
                    asked: None,
                });
            }
            (Self::Async(Some(window)), ResyncRequest::WindowEnd { header_end }) => {
                window.asked = Some(header_end);
            }
            // A request of a kind other than the device announced is not answered.
            (Self::Driver(_) | Self::Hint { .. } | Self::Async(_), _) => {}
        }
    }

    /// Handles the record at the head. Returns the position that the device is to be told, if any.
    pub(super) fn record_at_head(&mut self, head: ResyncHead) -> Option<RecordPosition> {
        let header_end = head.start + LAST_OF_HEADER;
        match self {
            Self::Driver(wanted) => wanted
                .take_if(|wanted| *wanted == header_end)
                .map(|offset| (offset, head.seq)),
            Self::Hint {
                untouched,
                target,
                due,
            } => {
                if !head.untouched {
                    (*untouched, *target, *due) = (0, INITIAL_TARGET, false);
                    return None;
                }
                *untouched += 1;
                *due |= *untouched > *target;
                if !*due || !head.last {
                    return None;
                }
                *due = false;
                *target = next_target(*target);
                Some((head.end, head.seq.wrapping_add(1)))
            }
            Self::Async(window) => {
                let log = window.as_mut()?;
                if log.records > MAX_RECORDS {
                    *window = None;
                    return None;
                }
                log.note(header_end);
                let place = log.answer(head.seq)?;
                *window = None;
                Some(place)
            }
        }
    }
}

impl ResyncWindow {
    fn note(&mut self, header_end: u64) {
        let inside = (self.start..self.start + self.len).contains(&header_end);
        if inside && self.log.len() < MAX_LOG_LEN {
            self.log.push((header_end, self.records));
        }
        self.records += 1;
    }

    /// Returns the position that the device asked for. `seq` is the number of the record noted
    /// last.
    fn answer(&self, seq: u64) -> Option<RecordPosition> {
        let asked = self.asked?;
        let &(offset, before) = self.log.iter().find(|(offset, _)| *offset == asked)?;
        let since = self.records - 1 - before;
        Some((offset, seq.wrapping_sub(since)))
    }
}

fn next_target(target: u32) -> u32 {
    if target < LINEAR_FROM {
        target * 2
    } else {
        target + LINEAR_FROM
    }
}

const LAST_OF_HEADER: u64 = 4;
const INITIAL_TARGET: u32 = 2;
const LINEAR_FROM: u32 = 128;
const MAX_LOG_LEN: usize = 13;
const MAX_RECORDS: u64 = 65_535;

#[cfg(test)]
mod tests {
    use super::*;

    fn head(start: u64, seq: u64) -> ResyncHead {
        ResyncHead {
            start,
            end: start + 10,
            seq,
            untouched: true,
            last: true,
        }
    }

    /// D-13.
    #[test]
    fn a_driver_request_is_answered_when_its_header_is_read() {
        let mut resync = ResyncState::new(ResyncKind::DriverRequest);
        resync.note_request(ResyncRequest::Header { header_end: 24 });
        let answers: Vec<_> = (0..4)
            .filter_map(|i| resync.record_at_head(head(i * 10, i)))
            .collect();
        assert_eq!(answers, [(24, 2)]);
    }

    /// D-13.
    #[test]
    fn a_hint_comes_at_the_third_untouched_record_and_then_less_often() {
        let mut resync = ResyncState::new(ResyncKind::NextHint);
        let answers: Vec<_> = (0..10)
            .filter_map(|i| resync.record_at_head(head(i * 10, i)))
            .collect();
        assert_eq!(answers, [(30, 3), (50, 5), (90, 9)]);
        let opened = ResyncHead {
            untouched: false,
            ..head(100, 10)
        };
        assert_eq!(resync.record_at_head(opened), None);
        let answers: Vec<_> = (11..15)
            .filter_map(|i| resync.record_at_head(head(i * 10, i)))
            .collect();
        assert_eq!(answers, [(140, 14)]);
    }

    /// D-13.
    #[test]
    fn a_hint_waits_for_a_record_with_nothing_queued_after_it() {
        let mut resync = ResyncState::new(ResyncKind::NextHint);
        for i in 0..5 {
            let queued = ResyncHead {
                last: false,
                ..head(i * 10, i)
            };
            assert_eq!(resync.record_at_head(queued), None);
        }
        assert_eq!(resync.record_at_head(head(50, 5)), Some((60, 6)));
    }

    /// D-13.
    #[test]
    fn a_window_is_answered_with_the_number_of_the_named_header() {
        for asked_after in 1..6 {
            let mut resync = ResyncState::new(ResyncKind::Async);
            resync.note_request(ResyncRequest::Window { start: 0, len: 30 });
            let mut answers = Vec::new();
            for i in 0..7 {
                if i == asked_after {
                    resync.note_request(ResyncRequest::WindowEnd { header_end: 14 });
                }
                answers.extend(resync.record_at_head(head(i * 10, 100 + i)));
            }
            assert_eq!(answers, [(14, 101)], "asked after {asked_after} records");
        }
    }
}
