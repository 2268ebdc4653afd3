//! Several records at the head opened in one call of the AEAD, straight into the caller's buffer.

use crate::key::{InnerPlaintext, RecSeq};
use crate::record::MAX_GROUP;
use crate::record::group::{self, RecordGroup};
use crate::socket::rx::open::{HeadRecord, OpenDestination};
use crate::socket::rx::{ReceiveStep, SocketRx};
use crate::socket::{CallFault, ReceiveBuffers, ReceiveCall, SocketShared};

impl SocketRx {
    /// Opens records from the head on, whose first is `len` bytes long, and delivers what this call may
    /// have of them; none when the next record is to be opened alone.
    ///
    /// They are spent one by one: what this call may not have stays sealed.
    pub(super) fn open_group(
        &mut self,
        len: usize,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
        shared: &SocketShared,
    ) -> Result<Option<ReceiveStep>, CallFault> {
        if !self.gains_by_a_group(len, call, out) {
            return Ok(None);
        }
        let mut places = [group::RecordSpan::default(); MAX_GROUP];
        let places = &mut places[..self.pace.most()];
        let records = RecordGroup {
            key: &self.key,
            framing: &self.framing,
            next: RecSeq::new(self.seq),
        };
        let room = out.room();
        let piece = out.next_piece();
        let room = room.min(piece.len());
        let opened = records.open_front(self.wire.bytes(), &mut piece[..room], places);
        self.deliver_group(&places[..opened], call, out, shared)
    }

    fn gains_by_a_group(
        &self,
        len: usize,
        call: &ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
    ) -> bool {
        let free = self.offload.is_none() && self.ahead.is_empty() && !call.peeks();
        if !free || self.key.interleaved().is_none() {
            return false;
        }
        let room = out.room().min(out.next_piece().len());
        let inner_len = self.key.inner_len(len).unwrap_or(usize::MAX);
        // Its type would not fit behind it, and only a group keeps that apart.
        let just_fits = inner_len == room + self.type_len();
        let next = &self.wire.bytes()[len..];
        let two = self.pace.most() > 1 && matches!(self.framing.deframe(next), Ok(Some(_)));
        just_fits || two && inner_len < room
    }

    /// Delivers opened records, whose plaintexts lie side by side at the start of the next piece of `out`.
    fn deliver_group(
        &mut self,
        places: &[group::RecordSpan],
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
        shared: &SocketShared,
    ) -> Result<Option<ReceiveStep>, CallFault> {
        let mut step = Ok(None);
        let mut left: usize = places.iter().map(|place| place.room).sum();
        // Padding between the plaintext delivered last and the next.
        let mut gap = 0;
        let mut wanted = 0;
        for place in places {
            if out.room() == 0 {
                // A call that has all it has room for ends, also before an empty record.
                break;
            }
            let Some(inner) = self.move_up(place, gap, out.next_piece()) else {
                break;
            };
            let before = out.room();
            let head = HeadRecord {
                len: place.record,
                inner,
                place: OpenDestination::Direct,
            };
            step = self.accept_head_record(head, call, out, shared).map(Some);
            let delivered = before - out.room();
            left -= delivered;
            gap += place.room - delivered;
            wanted += 1;
            if step != Ok(Some(ReceiveStep::NeedBytes)) {
                break;
            }
        }
        if left > 0 {
            // Padding, and what was opened in vain, is not the caller's.
            out.next_piece()[..left].fill(0);
        }
        if wanted > 0 && (wanted == places.len() || out.room() == 0) {
            self.pace.speed_up();
        } else {
            self.pace.slow_down();
        }
        step
    }

    /// Moves an opened plaintext over the gap in front of it; none if it has no type.
    fn move_up(
        &self,
        place: &group::RecordSpan,
        gap: usize,
        piece: &mut [u8],
    ) -> Option<InnerPlaintext> {
        let inner = &piece[gap..][..place.room];
        let (record_type, len) = place.stripped(inner, self.key.is_tls12())?;
        if gap > 0 {
            piece.copy_within(gap..gap + len, 0);
        }
        Some(InnerPlaintext {
            record_type,
            len,
            inner_len: place.room + self.type_len(),
        })
    }
}
