//! A few records opened in one call of the AEAD.

use crate::aead::InnerJob;
use crate::key::{RecSeq, TrafficKey};
use crate::record::{Frame, Framing, TOGETHER};

/// What opens them.
pub(super) struct Group<'a> {
    pub(super) key: &'a TrafficKey,
    pub(super) framing: &'a Framing,
    /// The number of the first.
    pub(super) next: RecSeq,
}

/// Where one of them lies.
#[derive(Clone, Copy, Default)]
pub(super) struct Place {
    /// Its length on the wire.
    pub(super) record: usize,
    /// The length of its plaintext, perhaps with padding.
    pub(super) room: usize,
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
    pub(super) fn open(
        &self,
        wire: &[u8],
        out: &mut [u8],
        places: &mut [Place; TOGETHER],
    ) -> usize {
        let Some(many) = self.key.interleaved() else {
            return 0;
        };
        let mut jobs = [const { InnerJob::none() }; TOGETHER];
        let (mut wire, mut out, mut seq, mut count) = (wire, out, self.next, 0);
        for (job, place) in jobs.iter_mut().zip(places.iter_mut()) {
            let Some(set) = self.set_job(job, wire, &mut out, &mut seq) else {
                break;
            };
            *place = set;
            (_, wire) = wire.split_at(place.record);
            count += 1;
        }
        let opened = many.open_many(&mut jobs[..count]);
        for (job, place) in jobs.iter().zip(places) {
            place.record_type = job.inner_type.unwrap_or(place.record_type);
        }
        opened
    }

    /// Makes `job` that of the record at the start of `wire`, its plaintext at the start of `out`, which
    /// goes on behind it; None if it is not whole, or needs a closer look.
    #[inline(always)]
    fn set_job<'a>(
        &self,
        job: &mut InnerJob<'a>,
        wire: &'a [u8],
        out: &mut &'a mut [u8],
        seq: &mut RecSeq,
    ) -> Option<Place> {
        let Frame { len, .. } = self.framing.deframe(wire).ok()??;
        let inner_type = (!self.key.is_tls12()).then_some(0);
        let inner_len = self.key.inner_len(len).ok()?;
        let room = inner_len.checked_sub(inner_type.iter().len())?;
        let (place_out, rest) = std::mem::take(out).split_at_mut_checked(room)?;
        *out = rest;
        let number = seq.take().ok()?;
        let record = &wire[..len];
        self.key
            .set_open_job(&mut job.job, number, record, place_out)
            .ok()?;
        job.inner_type = inner_type;
        Some(Place {
            record: len,
            room,
            record_type: wire[0],
        })
    }
}

impl Place {
    /// Content type and length without padding; None if there is no type.
    pub(super) fn stripped(&self, inner: &[u8], tls12: bool) -> Option<(u8, usize)> {
        if self.record_type != 0 || tls12 {
            return Some((self.record_type, self.room));
        }
        let len = inner.iter().rposition(|&byte| byte != 0)?;
        Some((inner[len], len))
    }
}
