//! Opening several records at the head in one call of the AEAD, into the caller's buffer.

use crate::key::RecSeq;
use crate::record::MAX_GROUP;
use crate::record::group::{GroupOpener, GroupRecord, OpenedGroup, RecordSpan};
use crate::socket::recv_call::RecordAdmission;
use crate::socket::rx::open::{count_retry, end, is_key_update, next_step};
use crate::socket::rx::{ReceiveStep, RxListRecord, SocketRx};
use crate::socket::{CallFault, ReceiveBuffers, ReceiveCall, SocketShared};

impl SocketRx {
    /// Opens several records, of which the first has `len` bytes, and delivers those that this call
    /// may deliver. Returns `None` if the next record has to be opened alone.
    ///
    /// The sequence number of a record is spent when it is delivered. Records that were opened and
    /// not reached stay on the wire.
    pub(super) fn open_group(
        &mut self,
        len: usize,
        call: &mut ReceiveCall,
        out: &mut ReceiveBuffers<'_, '_>,
        shared: &SocketShared,
    ) -> Result<Option<ReceiveStep>, CallFault> {
        if self.opener.is_some() || !self.ahead.is_empty() || call.peeks() {
            return Ok(None);
        }
        let opener = GroupOpener {
            key: &self.key,
            framing: &self.framing,
            next: RecSeq::new(self.seq),
        };
        let first = self.key.record(self.wire.bytes(), len)?;
        let room = out.room().min(out.next_piece().len());
        let piece = &mut out.next_piece()[..room];
        // A copy: the cursor adapts it when it is dropped, and `self` is needed until then.
        let mut size = self.group_size;
        let mut spans = [RecordSpan::default(); MAX_GROUP];
        let Some(group) = opener.open(first, piece, &mut spans, &mut size) else {
            return Ok(None);
        };
        let (delivered, step) = self.deliver_group(group, call, shared);
        self.group_size = size;
        out.advance(delivered);
        step
    }

    /// Delivers records of a group until one ends the call. Returns how many bytes were delivered,
    /// and the step after the last record.
    fn deliver_group(
        &mut self,
        mut group: OpenedGroup<'_>,
        call: &mut ReceiveCall,
        shared: &SocketShared,
    ) -> (usize, Result<Option<ReceiveStep>, CallFault>) {
        let mut step = Ok(None);
        while let Some(record) = group.next_record() {
            step = self.deliver_group_record(record, call, shared).map(Some);
            if step != Ok(Some(ReceiveStep::NeedBytes)) {
                break;
            }
        }
        (group.accepted(), step)
    }

    /// Takes one record of a group off the wire, and delivers it or moves it to `rx_list`.
    fn deliver_group_record(
        &mut self,
        record: GroupRecord<'_, '_>,
        call: &mut ReceiveCall,
        shared: &SocketShared,
    ) -> Result<ReceiveStep, CallFault> {
        let inner = record.inner;

        // Nothing below may fail to keep the record: its number is spent.
        if self.expects_no_padding() {
            count_retry(inner, shared);
        }
        let key_update = is_key_update(inner, record.plaintext());
        self.consume_head_record(record.wire_len, shared);
        if key_update {
            self.pause_at_key_update(shared)?;
        }
        let admitted = call.admit_record(inner.record_type);
        if admitted != Ok(RecordAdmission::ThisCall) {
            let kept = RxListRecord::new(inner.record_type, record.move_out());
            self.opened.push_back(kept);
            return admitted
                .map(|_| ReceiveStep::Done)
                .or_else(|error| end(error, call));
        }
        record.accept();
        call.add(inner.len);
        call.finish_record();
        Ok(next_step(call))
    }
}
