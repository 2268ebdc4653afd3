//! Seals in software a segment that was framed for the device (D-10).

use ktls_core::key::TrafficKey;

use crate::device_socket::record_list::RecordList;
use crate::nic::framed::seal_framed;

/// Returns the `len` sealed bytes at `offset`. Each record that they belong to is sealed as a
/// whole, and the bytes outside the range are cut off. Returns `None` if a record is no longer in
/// the list: it was acknowledged, so the segment is not needed.
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
