//! Application data, of which several records are opened together.

use crate::record::group::{RecordSpan, two_are_there};
use crate::record::{GroupSize, MAX_GROUP, Opener};
use crate::rekey::RxRekey;
use crate::wire::ContentType;

/// Application data that was opened.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct OpenedData {
    /// Records.
    pub(crate) records: u64,
    /// Bytes of wire that they were.
    pub(crate) consumed: usize,
    /// Bytes of plaintext.
    pub(crate) written: usize,
}

impl Opener {
    /// Opens the records of application data at the start of `wire`, a few of them, plaintexts packed
    /// into `out`.
    ///
    /// It ends before a record that is anything else, or bad, or has more than `longest` bytes of inner
    /// plaintext, or does not fit: that one is not spent, and nothing of it is in `out`.
    pub(crate) fn open_data(
        &mut self,
        wire: &[u8],
        out: &mut [u8],
        longest: usize,
        pace: &mut GroupSize,
    ) -> OpenedData {
        let mut data = OpenedData::default();
        if !self.gains_by_a_group(wire, out.len(), pace) {
            return data;
        }
        let mut places = [RecordSpan::default(); MAX_GROUP];
        let places = &mut places[..pace.most()];
        let opened = self.group().open_front(wire, out, places);
        let (tls12, mut from) = (self.key.is_tls12(), 0);
        let longest = longest - usize::from(!tls12);
        for place in &places[..opened] {
            let inner = &out[from..from + place.room];
            let application_data = ContentType::APPLICATION_DATA.0;
            let len = match place.stripped(inner, tls12) {
                Some((kind, len)) if kind == application_data && place.room <= longest => len,
                _ => break,
            };
            if from != data.written {
                out.copy_within(from..from + len, data.written);
            }
            from += place.room;

            // Nothing below may fail: the record is spent.
            self.seq = self.seq.after(1);
            data.records += 1;
            data.consumed += place.record;
            data.written += len;
        }
        let all: usize = places[..opened].iter().map(|place| place.room).sum();
        // Padding, and what was opened in vain, is not the caller's.
        out[data.written..all].fill(0);
        if data.records < opened as u64 {
            pace.slow_down();
        } else if opened > 0 {
            pace.speed_up();
        }
        data
    }

    fn gains_by_a_group(&self, wire: &[u8], room: usize, pace: &GroupSize) -> bool {
        if self.state != RxRekey::Ready || self.key.interleaved().is_none() {
            return false;
        }
        let Ok(Some(first)) = self.framing.deframe(wire) else {
            return false;
        };
        // Its type would not fit behind it, and only a group keeps that apart.
        let just_fits = room + usize::from(!self.key.is_tls12());
        self.key.inner_len(first.len) == Ok(just_fits)
            || pace.most() > 1 && two_are_there(&self.framing, wire)
    }
}
