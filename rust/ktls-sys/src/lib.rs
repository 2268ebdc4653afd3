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

/// `SO_RCVLOWAT` of a socket: how many bytes make it readable.
///
/// # Errors
/// What the system says.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "rustix does not have this option")]
pub fn receive_low_water(fd: impl AsFd) -> Result<usize, Errno> {
    use std::os::fd::AsRawFd;

    let mut bytes: libc::c_int = 0;
    let mut len = INT_LEN;
    // SAFETY: the descriptor is open for the call, which writes at most `len` bytes to `bytes`, an int of
    // that length, and what it wrote to `len`.
    let done = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw mut bytes).cast(),
            &raw mut len,
        )
    };
    told(done)?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Sets `SO_RCVLOWAT`.
///
/// # Errors
/// What the system says.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "rustix does not have this option")]
pub fn set_receive_low_water(fd: impl AsFd, bytes: i32) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;

    let bytes: libc::c_int = bytes;
    // SAFETY: the descriptor is open for the call, which reads one int, and `bytes` is one.
    told(unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            INT_LEN,
        )
    })
}

/// The length of an int, as options tell it.
#[cfg(target_os = "linux")]
const INT_LEN: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;

/// What a call said that gives 0 when it did its work.
#[cfg(target_os = "linux")]
fn told(done: libc::c_int) -> Result<(), Errno> {
    if done == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// The count of bytes that make a socket readable.
///
/// # Errors
/// ENOTSUP
#[cfg(not(target_os = "linux"))]
pub fn receive_low_water(_fd: impl AsFd) -> Result<usize, Errno> {
    Err(Errno::NOTSUP)
}

/// Sets how many bytes make a socket readable.
///
/// # Errors
/// ENOTSUP
#[cfg(not(target_os = "linux"))]
pub fn set_receive_low_water(_fd: impl AsFd, _bytes: i32) -> Result<(), Errno> {
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

    #[test]
    fn the_low_water_mark_of_a_socket_is_set_and_told() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let near = TcpStream::connect(listener.local_addr().expect("an address")).expect("a way");
        assert_eq!(receive_low_water(&near), Ok(1));
        assert_eq!(set_receive_low_water(&near, 100), Ok(()));
        assert_eq!(receive_low_water(&near), Ok(100));
        let file = std::fs::File::open("/dev/null").expect("a file");
        assert_eq!(receive_low_water(&file), Err(Errno::NOTSOCK));
        assert_eq!(set_receive_low_water(&file, 1), Err(Errno::NOTSOCK));
    }
}
