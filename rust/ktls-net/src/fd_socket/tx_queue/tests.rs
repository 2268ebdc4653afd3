//! Records of a call that find too few places in the ring of their connection.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use ktls_aead::PROVIDER;
use ktls_core::CryptoInfo;
use ktls_core::offload::InstallPolicy;
use ktls_core::socket::{PartialRecord, SendBuffers};

use super::*;
use crate::OffloadQueue;
use crate::fork::Ownership;
use crate::queue::QueueShape;

/// A sending direction over a queue whose rings have `depth` places, and the other end.
struct QueuedEnds {
    side: Arc<FdSocketTx>,
    near: Arc<OwnedFd>,
    far: UnixStream,
    _queue: OffloadQueue,
}

/// The length on the wire of a record with `len` bytes of plaintext: AES-GCM-128 in TLS 1.3.
const fn wire_len(len: usize) -> usize {
    5 + len + 1 + 16
}

fn ends(depth: usize) -> QueuedEnds {
    let (near, far) = UnixStream::pair().expect("a pair");
    far.set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    let near = Arc::new(OwnedFd::from(near));
    let shape = QueueShape {
        workers: 1,
        depth,
        slots: 2,
        policy: InstallPolicy::default(),
    };
    let queue = OffloadQueue::new(shape).expect("a queue");
    let shared = queue.shared().expect("workers");
    let ring = Arc::new(ConnRing::new(shared, &near).expect("a ring"));
    let mut info = vec![0; 40];
    info[..4].copy_from_slice(&[4, 3, 51, 0]);
    let info = CryptoInfo::from_bytes(&info).expect("AES-GCM-128 in TLS 1.3");
    let key = TrafficKey::new(info, &PROVIDER).expect("a key");
    let side = Arc::new(FdSocketTx::new(
        Arc::default(),
        Arc::default(),
        Ownership::new(),
    ));
    side.install_first(key, Some(&ring));
    QueuedEnds {
        side,
        near,
        far,
        _queue: queue,
    }
}

impl QueuedEnds {
    fn ring(&self) -> &Arc<ConnRing> {
        self.side.ring().expect("a ring")
    }

    /// Makes records of `data`, as a send call does that may put `limit` records into the ring.
    fn make(&self, state: &mut TxState, data: &[u8], more: PartialRecord, limit: usize) {
        let slices = [data];
        let mut source = SendBuffers::new(&slices);
        let sent = state
            .socket
            .send(&mut source, None, more, limit, self.side.shared());
        assert_eq!((sent, source.left()), (Ok(()), 0));
    }

    /// Ends an open record of `data` while an error waits, so that the record waits for the next
    /// send.
    fn hold(&self, data: &[u8]) {
        let mut state = self.side.state();
        self.make(&mut state, data, PartialRecord::KeepOpen, 1);
        let pipe = CallFault::System(Errno::PIPE.raw_os_error());
        self.side.shared().error.set(pipe);
        assert_eq!(state.socket.close_open(self.side.shared()), Err(pipe));
        assert!(state.socket.has_sealed());
    }

    fn send(&self, data: &[u8], limit: usize) {
        let mut state = self.side.state();
        self.make(&mut state, data, PartialRecord::Seal, limit);
        self.side.submit(&mut state.socket);
    }

    /// Reads records of these lengths from the other end.
    fn expect(&mut self, lens: &[usize]) {
        for &len in lens {
            let mut record = vec![0; wire_len(len)];
            self.far.read_exact(&mut record).expect("a whole record");
            let body = u16::from_be_bytes([record[3], record[4]]);
            assert_eq!((record[0], usize::from(body) + 5), (23, record.len()));
        }
    }
}

#[test]
fn a_record_that_waited_for_the_next_send_leaves_with_it_by_a_ring_with_one_place() {
    let mut ends = ends(1);
    ends.hold(b"held");
    ends.send(b"next record", 1);
    ends.expect(&[4, 11]);
}

#[test]
fn no_record_of_a_call_is_lost_however_few_places_the_ring_has() {
    let mut ends = ends(2);
    let mut state = ends.side.state();
    for len in 1..=9 {
        ends.make(&mut state, &vec![0; len], PartialRecord::Seal, usize::MAX);
    }
    ends.side.submit(&mut state.socket);
    drop(state);
    ends.expect(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_ring_with_more_records_than_places_has_no_room_until_they_have_left() {
    let mut ends = ends(1);
    let stuffing = stuff(&ends.near);
    // The worker takes the first one, and waits with it for room in the connection.
    ends.send(b"1", 1);
    until(|| ends.ring().room() > 0);
    ends.hold(b"held");
    ends.send(b"next record", 1);
    assert_eq!(ends.ring().room(), 0);
    let mut stuffed = vec![0; stuffing];
    ends.far.read_exact(&mut stuffed).expect("the stuffing");
    ends.expect(&[1, 4, 11]);
    until(|| !ends.ring().is_busy());
    assert_eq!(ends.ring().room(), 1);
}

#[test]
fn a_close_sends_the_record_that_waits_behind_a_full_ring() {
    let mut ends = ends(1);
    let stuffing = stuff(&ends.near);
    ends.send(b"1", 1);
    until(|| ends.ring().room() > 0);
    ends.send(b"22", 1);
    ends.hold(b"held");
    ends.side.finish(&ends.near);
    let mut stuffed = vec![0; stuffing];
    ends.far.read_exact(&mut stuffed).expect("the stuffing");
    ends.expect(&[1, 2, 4]);
}

/// Waits for what a worker does next.
fn until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < end, "the worker did nothing");
        std::thread::yield_now();
    }
}

/// Fills the connection with zeros. Returns how many.
fn stuff(near: &OwnedFd) -> usize {
    let mut near = UnixStream::from(near.try_clone().expect("a duplicate"));
    near.set_nonblocking(true).expect("a flag");
    let mut written = 0;
    while let Ok(len) = near.write(&[0; 4096]) {
        written += len;
    }
    written
}
