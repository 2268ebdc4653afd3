//! Sending a whole buffer, over several calls if a signal or a timeout comes in between.

use std::time::Instant;

use ktls_core::socket::SendBuffers;

use super::FdSocket;
use crate::NetError;
use crate::queue::KeptBytes;
use crate::wait::{ProgressDeadline, SIGNAL_CHECK_INTERVAL};

/// Bytes of plaintext that are sent between two checks of the clock.
const PIECE: usize = 1 << 20;

impl FdSocket {
    /// Sends the bytes of `data` behind the first `taken`. Bytes that were sent are added to
    /// `taken` even if the call fails, so the next call continues behind them. `kept` is as in
    /// [`FdSocket::send`].
    ///
    /// # Errors
    /// Returns the errors of [`FdSocket::send`], even if a part was sent. [`NetError::Interrupted`]
    /// also comes from time to time without a signal, because a signal does not interrupt the
    /// sealing of records.
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

    /// Returns how many bytes to send at a time: as many as fill the open record and whole records
    /// behind it.
    fn piece_len(&self) -> usize {
        let tx = &self.tx.state().socket;
        let records = (PIECE / tx.max_payload()).max(1);
        records * tx.max_payload() - tx.open_len()
    }
}

/// Checks whether a call has to return so that its caller can run signal handlers.
///
/// # Errors
/// [`NetError::Interrupted`] if the call began at least [`SIGNAL_CHECK_INTERVAL`] ago.
pub(super) fn interrupt_if_due(begin: Instant) -> Result<(), NetError> {
    if begin.elapsed() >= SIGNAL_CHECK_INTERVAL {
        return Err(NetError::Interrupted);
    }
    Ok(())
}

/// Returns `kept` without the first `taken` bytes.
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
