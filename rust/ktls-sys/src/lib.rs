//! System calls that no safe crate offers.
#![deny(unsafe_code)]

mod fork;

pub use fork::{FORK_NUMBERS, ForkNumbers};

use std::os::fd::AsFd;

use rustix::io::Errno;

/// Returns how many bytes TCP has accepted and the peer has not acknowledged (`SIOCOUTQ`).
///
/// # Errors
/// The error of the system call.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "rustix leaves the meaning of an ioctl to us")]
pub fn unacknowledged(fd: impl AsFd) -> Result<u64, Errno> {
    use rustix::ioctl::{Getter, Opcode, ioctl};
    use std::ffi::c_int;

    // SIOCOUTQ has the number of TIOCOUTQ.
    const OUTQ: Opcode = libc::TIOCOUTQ as Opcode;
    // SAFETY: the call writes one int and reads nothing. On another kind of descriptor it fails, or
    // returns the length of that one's queue.
    let queued: c_int = unsafe { ioctl(fd, Getter::<OUTQ, c_int>::new())? };
    Ok(u64::try_from(queued).unwrap_or(0))
}

/// Returns how many bytes TCP has accepted and the peer has not acknowledged.
///
/// # Errors
/// ENOTSUP, always: this is implemented on Linux only.
#[cfg(not(target_os = "linux"))]
pub fn unacknowledged(_fd: impl AsFd) -> Result<u64, Errno> {
    Err(Errno::NOTSUP)
}

/// Returns how many bytes make a socket readable (`SO_RCVLOWAT`).
///
/// # Errors
/// The error of the system call.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "rustix does not have this option")]
pub fn receive_low_water(fd: impl AsFd) -> Result<usize, Errno> {
    use std::os::fd::AsRawFd;

    let mut bytes: libc::c_int = 0;
    let mut len = INT_LEN;
    // SAFETY: the descriptor is open during the call, which writes at most `len` bytes to `bytes`,
    // an int of that length, and the number of bytes written to `len`.
    let result = unsafe {
        libc::getsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw mut bytes).cast(),
            &raw mut len,
        )
    };
    check(result)?;
    Ok(usize::try_from(bytes).unwrap_or(0))
}

/// Sets how many bytes make a socket readable (`SO_RCVLOWAT`).
///
/// # Errors
/// The error of the system call.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "rustix does not have this option")]
pub fn set_receive_low_water(fd: impl AsFd, bytes: i32) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;

    let bytes: libc::c_int = bytes;
    // SAFETY: the descriptor is open during the call, which reads one int from `bytes`.
    check(unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const bytes).cast(),
            INT_LEN,
        )
    })
}

/// The length of an int in bytes, as socket options take it.
#[cfg(target_os = "linux")]
const INT_LEN: libc::socklen_t = size_of::<libc::c_int>() as libc::socklen_t;

/// Returns the error of a system call, of which 0 is the only successful result.
#[cfg(target_os = "linux")]
fn check(result: libc::c_int) -> Result<(), Errno> {
    if result == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Returns how many bytes make a socket readable.
///
/// # Errors
/// ENOTSUP, always: this is implemented on Linux only.
#[cfg(not(target_os = "linux"))]
pub fn receive_low_water(_fd: impl AsFd) -> Result<usize, Errno> {
    Err(Errno::NOTSUP)
}

/// Sets how many bytes make a socket readable.
///
/// # Errors
/// ENOTSUP, always: this is implemented on Linux only.
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
    fn bytes_that_the_peer_has_read_are_acknowledged() {
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
    fn the_low_water_mark_of_a_socket_is_set_and_returned() {
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
