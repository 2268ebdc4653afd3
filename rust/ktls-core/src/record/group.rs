//! A few records opened in one call of the AEAD.

use zeroize::Zeroizing;

use crate::aead::{InnerJob, Interleaved};
use crate::key::{RecSeq, TrafficKey};
use crate::record::{Framing, MAX_GROUP, WireRecord};

/// What opens them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordGroup<'a> {
    pub(crate) key: &'a TrafficKey,
    pub(crate) framing: &'a Framing,
    /// The number of the first.
    pub(crate) next: RecSeq,
}

/// Where one of them lies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RecordSpan {
    /// Its length on the wire.
    pub(crate) record: usize,
    /// The length of its plaintext, perhaps with padding.
    pub(crate) room: usize,
    /// The content type; in TLS 1.3 the last byte of the inner plaintext, zero if that is padding.
    record_type: u8,
}

/// True if two whole records are there: less is not worth a group.
pub(crate) fn two_are_there(framing: &Framing, wire: &[u8]) -> bool {
    let deframe = |wire| framing.deframe(wire).ok().flatten();
    deframe(wire).is_some_and(|first| deframe(&wire[first.len..]).is_some())
}

impl RecordGroup<'_> {
    /// Opens up to [`MAX_GROUP`] records from the start of `wire` on into `out`, their plaintexts side by
    /// side; gives how many, and of those their places. None if the key does not gain by it.
    pub(crate) fn open_front(
        &self,
        wire: &[u8],
        out: &mut [u8],
        places: &mut [RecordSpan],
    ) -> usize {
        let Some(many) = self.key.interleaved() else {
            return 0;
        };
        let found = self.find(wire, out.len(), places);
        self.open_together(many, wire, out, &mut places[..found])
    }

    /// Finds records from the start of `wire` on that are whole, need no closer look, and whose
    /// plaintexts have room in `out_len` bytes; gives how many.
    fn find(&self, wire: &[u8], out_len: usize, places: &mut [RecordSpan]) -> usize {
        let (mut wire, mut left) = (wire, out_len);
        for (count, place) in places.iter_mut().enumerate() {
            let Some(found) = self.find_one(wire, left) else {
                return count;
            };
            *place = found;
            (wire, left) = (&wire[found.record..], left - found.room);
        }
        places.len()
    }

    /// The same for at most so many, and for no more than there is memory to tell of.
    pub(crate) fn find_up_to(&self, most: usize, wire: &[u8], out_len: usize) -> Vec<RecordSpan> {
        let (mut places, mut wire, mut left) = (Vec::new(), wire, out_len);
        while let Some(found) = self.find_one(wire, left).filter(|_| places.len() < most) {
            if places.try_reserve(1).is_err() {
                break;
            }
            places.push(found);
            (wire, left) = (&wire[found.record..], left - found.room);
        }
        places
    }

    #[inline]
    fn find_one(&self, wire: &[u8], out_len: usize) -> Option<RecordSpan> {
        let WireRecord { len, .. } = self.framing.deframe(wire).ok()??;
        let with_type = usize::from(!self.key.is_tls12());
        let room = self.key.inner_len(len).ok()?.checked_sub(with_type)?;
        (room <= out_len).then_some(RecordSpan {
            record: len,
            room,
            record_type: wire[0],
        })
    }

    /// Opens the records of `places`, which lie side by side in `wire`, into `out`, their plaintexts
    /// side by side; gives how many, and the types of those.
    pub(crate) fn open(&self, wire: &[u8], out: &mut [u8], places: &mut [RecordSpan]) -> usize {
        let (mut wire, mut out, mut next, mut opened) = (wire, out, self.next, 0);
        for places in places.chunks_mut(MAX_GROUP) {
            let (record, room) = places.iter().fold((0, 0), |(record, room), place| {
                (record + place.record, room + place.room)
            });
            let group = Self { next, ..*self };
            let (now, later) = out.split_at_mut(room);
            let count = match self.key.interleaved() {
                Some(many) => group.open_together(many, &wire[..record], now, places),
                None => group.open_each(&wire[..record], now, places),
            };
            opened += count;
            if count < places.len() {
                break;
            }
            next = next.after(count as u64);
            (wire, out) = (&wire[record..], later);
        }
        opened
    }

    /// The same for up to [`MAX_GROUP`] records and a key that takes many.
    fn open_together(
        &self,
        many: &dyn Interleaved,
        mut wire: &[u8],
        mut out: &mut [u8],
        places: &mut [RecordSpan],
    ) -> usize {
        let mut jobs = [const { InnerJob::none() }; MAX_GROUP];
        let inner_type = (!self.key.is_tls12()).then_some(0);
        let mut seq = self.next;
        let mut count = 0;
        for (job, place) in jobs.iter_mut().zip(&*places) {
            let (record, rest) = wire.split_at(place.record);
            let (now, later) = std::mem::take(&mut out).split_at_mut(place.room);
            (wire, out) = (rest, later);
            let Ok(number) = seq.take() else { break };
            if self
                .key
                .set_open_job(&mut job.job, number, record, now)
                .is_err()
            {
                break;
            }
            job.inner_type = inner_type;
            count += 1;
        }
        let opened = many.open_many(&mut jobs[..count]);
        for (job, place) in jobs[..count].iter().zip(places) {
            place.record_type = job.inner_type.unwrap_or(place.record_type);
        }
        opened
    }

    /// One after the other, each with its content type behind it; that of the last has no room.
    fn open_each(&self, mut wire: &[u8], mut out: &mut [u8], places: &mut [RecordSpan]) -> usize {
        let mut apart = Zeroizing::new(Vec::new());
        let mut seq = self.next;
        for (opened, place) in places.iter_mut().enumerate() {
            let (record, rest) = wire.split_at(place.record);
            let Ok(number) = seq.take() else {
                return opened;
            };
            let in_place = out.len() > place.room || self.key.is_tls12();
            let inner = if in_place {
                &mut *out
            } else {
                apart.resize(place.room + 1, 0);
                &mut apart[..]
            };
            let Ok(inner) = self.key.open_inner(number, record, inner) else {
                return opened;
            };
            if !self.key.is_tls12() {
                place.record_type = inner[place.room];
            }
            if !in_place {
                out.copy_from_slice(&apart[..place.room]);
            }
            (wire, out) = (rest, &mut std::mem::take(&mut out)[place.room..]);
        }
        places.len()
    }
}

impl RecordSpan {
    /// Content type and length without padding; None if there is no type.
    pub(crate) fn stripped(&self, inner: &[u8], tls12: bool) -> Option<(u8, usize)> {
        if self.record_type != 0 || tls12 {
            return Some((self.record_type, self.room));
        }
        let len = inner.iter().rposition(|&byte| byte != 0)?;
        Some((inner[len], len))
    }
}
