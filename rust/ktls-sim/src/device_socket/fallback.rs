//! Sealing a segment in software that the device was to seal (D-10).

use ktls_core::key::TrafficKey;

use crate::device_socket::record_list::RecordList;
use crate::nic::framed::seal_framed;

/// Seals `len` bytes at `offset`: each record they lie in is sealed from its first byte on, and what lies
/// outside is cut off. None when a record is gone: it was acknowledged, and nobody needs the segment.
#[must_use]
pub fn seal_segment(
    list: &RecordList,
    key: &TrafficKey,
    offset: u64,
    len: usize,
) -> Option<Vec<u8>> {
    let end = offset + len as u64;
    let mut out = Vec::with_capacity(len);
    let mut at = offset;
    while at < end {
        let record = list.record(at)?;
        let sealed = seal_framed(key, record.seq, record.framed);
        let from = (at - record.start) as usize;
        let to = sealed.len().min((end - record.start) as usize);
        out.extend_from_slice(&sealed[from..to]);
        at = record.start + to as u64;
    }
    Some(out)
}
