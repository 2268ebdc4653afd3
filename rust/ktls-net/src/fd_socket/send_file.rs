//! Sending the contents of a file (`docs/kernel-rules.md`, S2.4).

use std::os::fd::OwnedFd;
use std::time::Instant;

use ktls_core::WipedBytes;
use ktls_core::socket::SendBuffers;
use ktls_core::socket::call::MORE;
use rustix::io::pread;

use super::FdSocket;
use super::send_all::interrupt_if_due;
use crate::NetError;
use crate::wait::ProgressDeadline;

/// Bytes that are read and sent at a time: the size of the pipe in the kernel's sendfile.
const CHUNK: usize = 64 << 10;

/// A file that is being sent, and how much of it was sent.
#[derive(Debug)]
pub struct FileSource<'a> {
    file: &'a OwnedFd,
    offset: u64,
    /// The most bytes still to be sent, or `None` up to the end of the file.
    left: Option<u64>,
    sent: u64,
}

impl<'a> FileSource<'a> {
    /// Makes a source of up to `count` bytes from `offset` on, or up to the end without a `count`.
    /// `file` must support `pread`.
    #[must_use]
    pub fn new(file: &'a OwnedFd, offset: u64, count: Option<u64>) -> Self {
        Self {
            file,
            offset,
            left: count,
            sent: 0,
        }
    }

    /// Returns the number of bytes sent.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Reads the chunk that begins `ahead` bytes behind the sent ones. `chunk` is empty at the end.
    fn read(&self, ahead: usize, chunk: &mut WipedBytes) -> Result<(), NetError> {
        let ahead = ahead as u64;
        let room = self
            .left
            .map_or(u64::MAX, |left| left.saturating_sub(ahead));
        chunk.resize(CHUNK.min(usize::try_from(room).unwrap_or(CHUNK)));
        let len = pread(self.file, &mut chunk[..], self.offset + self.sent + ahead)?;
        chunk.resize(len);
        Ok(())
    }

    /// Notes that `len` bytes were sent.
    fn took(&mut self, len: usize) {
        self.sent += len as u64;
        self.left = self.left.map(|left| left.saturating_sub(len as u64));
    }
}

impl FdSocket {
    /// Sends a file. Bytes that were sent are counted in `source` even if the call fails, so the
    /// next call continues behind them.
    ///
    /// Only the last record may be short, because all chunks but the last are sent with `MSG_MORE`.
    ///
    /// # Errors
    /// Returns the errors of [`FdSocket::send_all`] and of reading the file.
    pub fn send_file(
        &self,
        source: &mut FileSource<'_>,
        limit: &mut ProgressDeadline,
    ) -> Result<(), NetError> {
        let begin = Instant::now();
        let (mut chunk, mut next) = (WipedBytes::new(), WipedBytes::new());
        source.read(0, &mut chunk)?;
        while !chunk.is_empty() {
            source.read(chunk.len(), &mut next)?;
            let flags = if next.is_empty() { 0 } else { MORE };
            let slices: &[&[u8]] = &[&chunk];
            let sent = self.send_within(SendBuffers::new(slices), &[], flags, limit)?;
            source.took(sent.taken);
            chunk.remove_front(sent.taken);
            if chunk.is_empty() {
                std::mem::swap(&mut chunk, &mut next);
            }
            if !chunk.is_empty() {
                sent.wait_error.map_or(Ok(()), Err)?;
                interrupt_if_due(begin)?;
            }
        }
        Ok(())
    }
}
