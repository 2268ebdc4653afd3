//! A few records opened in one call of the AEAD.

use crate::aead::InnerJob;
use crate::key::{RecSeq, TrafficKey};
use crate::record::{Frame, Framing, TOGETHER};

/// What opens them.
pub(crate) struct Group<'a> {
    pub(crate) key: &'a TrafficKey,
    pub(crate) framing: &'a Framing,
    /// The number of the first.
    pub(crate) next: RecSeq,
}

/// Where one of them lies.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place {
    /// Its length on the wire.
    pub(crate) record: usize,
    /// The length of its plaintext, perhaps with padding.
    pub(crate) room: usize,
    /// The numbers left after it.
    pub(crate) after: RecSeq,
    /// The content type; in TLS 1.3 the last byte of the inner plaintext, zero if that is padding.
    record_type: u8,
}

/// True if two whole records are there: less is not worth a group.
pub(super) fn two_are_there(framing: &Framing, wire: &[u8]) -> bool {
    let deframe = |wire| framing.deframe(wire).ok().flatten();
    deframe(wire).is_some_and(|first| deframe(&wire[first.len..]).is_some())
}

impl Group<'_> {
    /// Opens records from the start of `wire` on into `out`, their plaintexts side by side; gives how
    /// many, and of those their places.
    pub(crate) fn open(&self, wire: &[u8], out: &mut [u8], places: &mut [Place]) -> usize {
        let Some(many) = self.key.interleaved() else {
            return 0;
        };
        let mut jobs = [const { InnerJob::none() }; TOGETHER];
        let (mut wire, mut out, mut seq, mut count) = (wire, out, self.next, 0);
        for (job, place) in jobs.iter_mut().zip(places.iter_mut()) {
            let Some((next_job, next_place)) = self.job(wire, &mut out, &mut seq) else {
                break;
            };
            (*job, *place) = (next_job, next_place);
            (_, wire) = wire.split_at(place.record);
            count += 1;
        }
        let opened = many.open_many(&mut jobs[..count]);
        for (job, place) in jobs.iter().zip(places) {
            place.record_type = job.inner_type.unwrap_or(place.record_type);
        }
        opened
    }

    /// The record at the start of `wire`, its plaintext at the start of `out`, which goes on behind
    /// it; None if it is not whole, or needs a closer look.
    fn job<'a>(
        &self,
        wire: &'a [u8],
        out: &mut &'a mut [u8],
        seq: &mut RecSeq,
    ) -> Option<(InnerJob<'a>, Place)> {
        let Frame { len, .. } = self.framing.deframe(wire).ok()??;
        let inner_type = (!self.key.is_tls12()).then_some(0);
        let inner_len = self.key.inner_len(len).ok()?;
        let room = inner_len.checked_sub(inner_type.iter().len())?;
        let (place_out, rest) = std::mem::take(out).split_at_mut_checked(room)?;
        *out = rest;
        let number = seq.take().ok()?;
        let job = self.key.open_job(number, &wire[..len], place_out).ok()?;
        let place = Place {
            record: len,
            room,
            after: *seq,
            record_type: wire[0],
        };
        Some((InnerJob { job, inner_type }, place))
    }
}

impl Place {
    /// Content type and length without padding; None if there is no type.
    pub(crate) fn stripped(&self, inner: &[u8], tls12: bool) -> Option<(u8, usize)> {
        if self.record_type != 0 || tls12 {
            return Some((self.record_type, self.room));
        }
        let len = inner.iter().rposition(|&byte| byte != 0)?;
        Some((inner[len], len))
    }
}
