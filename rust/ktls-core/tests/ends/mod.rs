//! The two ends of a connection without TCP between them.

use ktls_aead::PROVIDER;
use ktls_core::Errno;
use ktls_core::crypto_info::CryptoInfo;
use ktls_core::key::TrafficKey;
use ktls_core::socket::call::{ControlRoom, RecvFlags};
use ktls_core::socket::{
    CallFault, NoBytesReason, PartialRecord, ReceiveBuffers, ReceiveCall, ReceiveResult,
    ReceiveStep, SendBuffers, SocketRx, SocketShared, SocketTx,
};
use ktls_core::stats::Counter;
use ktls_core::wire::TLS13;

pub(crate) const KEY_UPDATE: &[u8] = &[24, 0, 0, 1, 0];
pub(crate) const PLAIN: RecvFlags = RecvFlags {
    peek: false,
    wait_all: false,
    dont_wait: true,
    error_queue: false,
};
pub(crate) const PEEK: RecvFlags = RecvFlags {
    peek: true,
    ..PLAIN
};

pub(crate) fn info(version: u16, fill: u8, rec_seq: u64) -> CryptoInfo {
    CryptoInfo::new(version, 51, &[fill; 8], &[fill; 16], &[fill; 4], rec_seq).unwrap()
}

pub(crate) fn key(version: u16, fill: u8, rec_seq: u64) -> TrafficKey {
    TrafficKey::new(info(version, fill, rec_seq), &PROVIDER).unwrap()
}

/// A sending direction and its socket's shared state.
pub(crate) struct Sender {
    pub(crate) tx: SocketTx,
    pub(crate) shared: SocketShared,
}

impl Sender {
    pub(crate) fn new(key: TrafficKey) -> Self {
        let mut tx = SocketTx::default();
        tx.install(key);
        Self {
            tx,
            shared: SocketShared::default(),
        }
    }

    pub(crate) fn send(
        &mut self,
        data: &[u8],
        record_type: Option<u8>,
        more: PartialRecord,
    ) -> Result<usize, CallFault> {
        let slices = [data];
        let mut source = SendBuffers::new(&slices);
        while source.left() > 0 || record_type.is_some() {
            self.tx
                .send(&mut source, record_type, more, 1 << 16, &self.shared)?;
            if source.left() == 0 {
                break;
            }
        }
        Ok(source.taken())
    }

    pub(crate) fn wire(&mut self) -> Vec<u8> {
        let wire = self.tx.wire().to_vec();
        self.tx.wrote(wire.len());
        wire
    }

    /// Returns the wire bytes of one record.
    pub(crate) fn record(&mut self, data: &[u8], record_type: u8) -> Vec<u8> {
        self.send(data, Some(record_type), PartialRecord::Seal)
            .unwrap();
        self.wire()
    }
}

/// A receiving direction, its socket's shared state, and whether the stream of TCP has ended.
pub(crate) struct Receiver {
    pub(crate) rx: SocketRx,
    pub(crate) shared: SocketShared,
    pub(crate) ended: bool,
}

impl Receiver {
    pub(crate) fn new(key: TrafficKey) -> Self {
        Self {
            rx: SocketRx::new(key),
            shared: SocketShared::default(),
            ended: false,
        }
    }

    pub(crate) fn arrive(&mut self, bytes: &[u8]) {
        self.rx.space(bytes.len()).copy_from_slice(bytes);
        self.rx.fed(bytes.len(), &self.shared);
    }

    /// Makes one receive call. Fails with EAGAIN where a blocking socket would wait.
    pub(crate) fn call(
        &mut self,
        len: usize,
        flags: RecvFlags,
        room: usize,
    ) -> Result<(Vec<u8>, ReceiveResult), i32> {
        let mut out = vec![0xee; len];
        let mut call = ReceiveCall::new(flags, ControlRoom::new(room), len, 1);
        let slices: &mut [&mut [u8]] = &mut [&mut out];
        let mut target = ReceiveBuffers::new(slices);
        let dry = if self.ended {
            NoBytesReason::Ended
        } else {
            NoBytesReason::Yet
        };
        let mut step = self
            .rx
            .start(&mut call, &mut target, &self.shared)
            .map_err(CallFault::code)?;
        if step == ReceiveStep::NeedBytes {
            step = self
                .rx
                .go_on_without_bytes(&call, dry, &self.shared)
                .map_err(CallFault::code)?;
        }
        let received = call.received();
        if step == ReceiveStep::Wait && received.len == 0 {
            return Err(Errno::Again.code());
        }
        assert!(
            out[received.len..]
                .iter()
                .all(|&byte| byte == 0xee || byte == 0),
            "nothing of a record stands behind the plaintext"
        );
        out.truncate(received.len);
        Ok((out, received))
    }

    pub(crate) fn data(&mut self, len: usize) -> Result<Vec<u8>, i32> {
        self.call(len, PLAIN, 64).map(|(data, _)| data)
    }

    pub(crate) fn count(&self, counter: Counter) -> i64 {
        self.shared.stats.value(counter)
    }
}

pub(crate) fn ends(version: u16) -> (Sender, Receiver) {
    (
        Sender::new(key(version, 1, 0)),
        Receiver::new(key(version, 1, 0)),
    )
}

/// Returns two ends, of which the receiver has read a KeyUpdate.
pub(crate) fn paused() -> (Sender, Receiver) {
    let (mut sender, mut receiver) = ends(TLS13);
    receiver.arrive(&sender.record(KEY_UPDATE, 22));
    assert_eq!(receiver.data(100).unwrap(), KEY_UPDATE);
    (sender, receiver)
}
