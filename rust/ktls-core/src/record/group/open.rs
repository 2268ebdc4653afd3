//! Finding records that may be opened together, and opening them.

use std::mem;
use std::ops::ControlFlow;

use crate::aead::{InnerJob, Interleaved};
use crate::key::{RecSeq, TrafficKey};
use crate::record::group::{GroupSize, OpenedGroup, RecordSpan};
use crate::record::{Framing, MAX_GROUP, WireRecord};
use crate::wiped_memory::WipedBytes;

/// The key that opens a group, the rules that find its records, and its first sequence number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupOpener<'k> {
    pub(crate) key: &'k TrafficKey,
    pub(crate) framing: &'k Framing,
    /// The sequence number of the first record.
    pub(crate) next: RecSeq,
}

impl GroupOpener<'_> {
    /// Opens `first` and the whole records behind it, up to the number that `size` allows and `out`
    /// has room for.
    ///
    /// `spans` is memory for their positions. Returns `None` if opening `first` alone takes less
    /// time.
    #[inline]
    pub(crate) fn open<'g>(
        &self,
        first: WireRecord<'_>,
        out: &'g mut [u8],
        spans: &'g mut [RecordSpan; MAX_GROUP],
        size: &'g mut GroupSize,
    ) -> Option<OpenedGroup<'g>> {
        let many = self.key.interleaved()?;
        let mut found = 0;
        let free = &mut spans[..size.most().min(MAX_GROUP)];
        self.find(first, out.len(), |span| {
            free[found] = span;
            found += 1;
            go_on_if(found < free.len())
        });
        let spans = &mut spans[..found];
        if !saves_time(spans, out.len()) {
            return None;
        }
        let opened = self.open_together(many, first.wire(), out, spans);
        Some(OpenedGroup::new(out, spans, opened, self.type_len(), size))
    }

    /// Finds up to `most` records from `first` on, and fewer if memory for their positions runs
    /// out.
    pub(crate) fn find_up_to(
        &self,
        most: usize,
        first: WireRecord<'_>,
        room: usize,
    ) -> Vec<RecordSpan> {
        let mut spans = Vec::new();
        self.find(first, room, |span| {
            if spans.try_reserve(1).is_err() {
                return ControlFlow::Break(());
            }
            spans.push(span);
            go_on_if(spans.len() < most)
        });
        spans
    }

    /// Finds whole records from `first` on and calls `found` with each, until it breaks. Ends once
    /// `room` bytes are full, and before a record that does not fit or has a bad header.
    #[inline]
    fn find(
        &self,
        first: WireRecord<'_>,
        mut room: usize,
        mut found: impl FnMut(RecordSpan) -> ControlFlow<()>,
    ) {
        let mut record = first;
        while room > 0 {
            let text_len = record.inner_len().checked_sub(self.type_len());
            let Some(text_len) = text_len.filter(|&len| len <= room) else {
                return;
            };
            room -= text_len;
            let span = RecordSpan {
                wire_len: record.wire_len(),
                room: text_len,
                record_type: record.header().opaque_type,
            };
            if found(span).is_break() {
                return;
            }
            match self.framing.deframe(record.rest()) {
                Ok(Some(next)) => record = next,
                _ => return,
            }
        }
    }

    /// Opens the records of `spans`, which lie side by side in `wire`, into `out`, side by side as
    /// well.
    ///
    /// Returns the number of records opened before the first bad one.
    pub(crate) fn open_all(
        &self,
        mut wire: &[u8],
        mut out: &mut [u8],
        spans: &mut [RecordSpan],
    ) -> usize {
        let Some(many) = self.key.interleaved() else {
            return self.open_each(wire, out, spans);
        };
        let mut opened = 0;
        for spans in spans.chunks_mut(MAX_GROUP) {
            let next = self.next.after(opened as u64);
            let now = Self { next, ..*self }.open_together(many, wire, out, spans);
            opened += now;
            if now < spans.len() {
                break;
            }
            let sum = |of: fn(&RecordSpan) -> usize| spans.iter().map(of).sum::<usize>();
            wire = &wire[sum(|span| span.wire_len)..];
            out = &mut mem::take(&mut out)[sum(|span| span.room)..];
        }
        opened
    }

    /// Opens up to [`MAX_GROUP`] records in one call of the AEAD; see [`GroupOpener::open_all`].
    fn open_together(
        &self,
        many: &dyn Interleaved,
        mut wire: &[u8],
        mut out: &mut [u8],
        spans: &mut [RecordSpan],
    ) -> usize {
        let mut jobs = [const { InnerJob::empty() }; MAX_GROUP];
        let inner_type = (!self.key.is_tls12()).then_some(0);
        let (mut seq, mut count) = (self.next, 0);
        for (job, span) in jobs.iter_mut().zip(&*spans) {
            let (record, rest) = wire.split_at(span.wire_len);
            let (now, later) = mem::take(&mut out).split_at_mut(span.room);
            let Ok(number) = seq.take() else { break };
            let set = self.key.fill_open_job(&mut job.job, number, record, now);
            if set.is_err() {
                break;
            }
            job.inner_type = inner_type;
            (wire, out) = (rest, later);
            count += 1;
        }
        let opened = many.open_many(&mut jobs[..count]);
        for (job, span) in jobs[..count].iter().zip(spans) {
            span.record_type = job.inner_type.unwrap_or(span.record_type);
        }
        opened
    }

    /// Opens the records one by one. The content type of each is written into the room of the next
    /// record; the last record is opened in other memory if there is no room for its type.
    fn open_each(&self, mut wire: &[u8], mut out: &mut [u8], spans: &mut [RecordSpan]) -> usize {
        let (mut seq, mut aside) = (self.next, WipedBytes::new());
        for (opened, span) in spans.iter_mut().enumerate() {
            let (Ok(record), Ok(number)) = (self.key.record(wire, span.wire_len), seq.take())
            else {
                return opened;
            };
            let fits = record.inner_len() <= out.len();
            let inner = if fits {
                &mut *out
            } else {
                aside.make_room(record.inner_len());
                &mut *aside
            };
            let Ok(inner) = self.key.open_inner(number, record, inner) else {
                return opened;
            };
            if let Some(&inner_type) = inner.get(span.room) {
                span.record_type = inner_type;
            }
            if !fits {
                out.copy_from_slice(&aside[..span.room]);
            }
            (wire, out) = (record.rest(), &mut mem::take(&mut out)[span.room..]);
        }
        spans.len()
    }

    /// Returns the bytes that the content type takes in an inner plaintext.
    pub(crate) fn type_len(&self) -> usize {
        usize::from(!self.key.is_tls12())
    }
}

/// Returns [`ControlFlow::Continue`] if `condition` holds.
fn go_on_if(condition: bool) -> ControlFlow<()> {
    if condition {
        ControlFlow::Continue(())
    } else {
        ControlFlow::Break(())
    }
}

/// Returns `true` if opening the records of `spans` together takes less time than opening the first
/// alone.
///
/// For a single record the preparation of a group costs more than it saves, except if its plaintext
/// fills `room` exactly: opened alone, it needs one more byte for its content type, and therefore a
/// copy.
fn saves_time(spans: &[RecordSpan], room: usize) -> bool {
    match spans {
        [] => false,
        [only] => only.room == room,
        [_, _, ..] => true,
    }
}
