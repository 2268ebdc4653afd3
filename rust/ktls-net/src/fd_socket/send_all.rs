//! Sending all of something, over several calls if a signal or a timeout comes in between.

use std::time::Instant;

use ktls_core::socket::SendBuffers;

use super::FdSocket;
use crate::NetError;
use crate::queue::KeptBytes;
use crate::wait::{ProgressDeadline, SIGNAL_CHECK_INTERVAL};

/// Plaintext between two looks at the clock.
const PIECE: usize = 1 << 20;

impl FdSocket {
    /// Sends `data` behind the first `taken` bytes; what was taken is counted there also when the call
    /// fails, and a next call goes on. `kept` is as in [`FdSocket::send`].
    ///
    /// # Errors
    /// As [`FdSocket::send`], also when only a part was taken. [`NetError::Interrupted`] comes now and then
    /// without a signal: one that came while records were sealed has interrupted nothing.
    pub fn send_all(
        &self,
        data: &[u8],
        kept: &[Option<KeptBytes>],
        flags: u32,
        limit: &mut ProgressDeadline,
        taken: &mut usize,
    ) -> Result<(), NetError> {
        let begin = Instant::now();
        loop {
            let rest = &data[*taken..];
            let slices = &[&rest[..rest.len().min(self.piece_len())]];
            let kept = skip_taken(kept, *taken);
            let source = SendBuffers::new(slices).keeping(&kept);
            let sent = self.send_within(source, &[], flags, limit)?;
            *taken += sent.taken;
            if *taken == data.len() {
                return Ok(());
            }
            sent.wait_error.map_or(Ok(()), Err)?;
            interrupt_if_due(begin)?;
        }
    }

    /// As much as full records hold, an open one filled up first.
    fn piece_len(&self) -> usize {
        let tx = &self.tx.state().socket;
        let records = (PIECE / tx.max_payload()).max(1);
        records * tx.max_payload() - tx.open_len()
    }
}

/// # Errors
/// [`NetError::Interrupted`] when the call has not let its caller run handlers for long.
pub(super) fn interrupt_if_due(begin: Instant) -> Result<(), NetError> {
    if begin.elapsed() >= SIGNAL_CHECK_INTERVAL {
        return Err(NetError::Interrupted);
    }
    Ok(())
}

fn skip_taken(kept: &[Option<KeptBytes>], taken: usize) -> Vec<Option<KeptBytes>> {
    let skip = |kept: &KeptBytes| kept.skip(taken);
    kept.iter().map(|kept| kept.as_ref().map(skip)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use ktls_aead::PROVIDER;
    use ktls_core::CryptoInfo;
    use ktls_core::key::TrafficKey;

    use super::*;
    use crate::Wait;

    fn keyed() -> (FdSocket, UnixStream) {
        let (near, far) = UnixStream::pair().expect("a pair");
        let socket = FdSocket::new(near.into(), std::sync::Arc::default(), None);
        let mut info = vec![0; 40];
        info[..4].copy_from_slice(&[4, 3, 51, 0]);
        let info = CryptoInfo::from_bytes(&info).expect("AES-GCM-128 in TLS 1.3");
        let key = TrafficKey::new(info, &PROVIDER).expect("a key");
        socket.tx.install_first(key, None);
        (socket, far)
    }

    #[test]
    fn a_long_wait_lets_the_caller_look_up_first_and_goes_on_where_it_was() {
        let (socket, mut far) = keyed();
        let data = vec![7; 8 << 20];
        let (mut limit, mut taken) = (ProgressDeadline::whole(Wait::Forever), 0);
        let first = socket.send_all(&data, &[], 0, &mut limit, &mut taken);
        assert!(matches!(first, Err(NetError::Interrupted)));
        assert!(0 < taken && taken < data.len());
        let reader = std::thread::spawn(move || {
            let mut wire = Vec::new();
            far.read_to_end(&mut wire).map(|_| wire.len())
        });
        while let Err(error) = socket.send_all(&data, &[], 0, &mut limit, &mut taken) {
            assert!(matches!(error, NetError::Interrupted));
        }
        assert_eq!(taken, data.len());
        socket.close();
        let records = data.len().div_ceil(16384);
        assert_eq!(reader.join().unwrap().unwrap(), data.len() + records * 22);
    }

    #[test]
    fn the_timeout_of_a_file_is_over_when_a_chunk_is_stuck() {
        let (socket, _far) = keyed();
        let file = rustix::fs::open(
            "/dev/zero",
            rustix::fs::OFlags::RDONLY,
            rustix::fs::Mode::empty(),
        );
        let file = file.expect("zeros");
        let mut source = super::super::FileSource::new(&file, 0, Some(1 << 30));
        let timeout = std::time::Duration::from_millis(20);
        let mut limit = ProgressDeadline::while_stalled(Some(timeout));
        let sent = socket.send_file(&mut source, &mut limit);
        assert!(matches!(sent, Err(NetError::TimedOut)));
        // A chunk that was taken after it would have renewed it.
        assert!(limit.patience().left().is_err());
    }
}
