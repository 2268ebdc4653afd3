//! System calls that no safe crate has.
#![deny(unsafe_code)]

mod fork;

pub use fork::{FORK_NUMBERS, ForkNumbers};

use std::os::fd::AsFd;

use rustix::io::Errno;

/// Bytes that TCP has taken and the peer has not acknowledged (`SIOCOUTQ`).
///
/// # Errors
/// What the system says; ENOTSUP where it cannot tell.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "rustix leaves the meaning of an ioctl to us")]
pub fn unacknowledged(fd: impl AsFd) -> Result<u64, Errno> {
    use rustix::ioctl::{Getter, Opcode, ioctl};
    use std::ffi::c_int;

    // The number by which a socket knows SIOCOUTQ.
    const OUTQ: Opcode = libc::TIOCOUTQ as Opcode;
    // SAFETY: it writes one int and reads nothing; on another kind of descriptor it fails, or tells of
    // that one's queue.
    let queued: c_int = unsafe { ioctl(fd, Getter::<OUTQ, c_int>::new())? };
    Ok(u64::try_from(queued).unwrap_or(0))
}

/// Bytes that TCP has taken and the peer has not acknowledged.
///
/// # Errors
/// ENOTSUP
#[cfg(not(target_os = "linux"))]
pub fn unacknowledged(_fd: impl AsFd) -> Result<u64, Errno> {
    Err(Errno::NOTSUP)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_the_peer_has_read_is_acknowledged() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let mut near = TcpStream::connect(address).expect("a connection");
        let (mut far, _) = listener.accept().expect("its other end");
        near.set_nonblocking(true).expect("a flag");
        let mut sent = 0;
        while let Ok(len) = near.write(&[0; 65536]) {
            sent += len;
        }
        let waiting = unacknowledged(&near).expect("a count");
        assert!(0 < waiting && waiting < sent as u64, "{waiting} of {sent}");
        drop(near);
        let mut all = Vec::new();
        far.read_to_end(&mut all).expect("the end");
        assert_eq!(all.len(), sent);
    }
}
