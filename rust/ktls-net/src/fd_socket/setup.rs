//! `setsockopt` and `getsockopt` (`docs/kernel-rules.md`, S1.3 to S1.5).

use std::os::fd::OwnedFd;
use std::sync::Arc;

use ktls_aead::PROVIDER;
use ktls_core::crypto_info::{CryptoInfo, Direction};
use ktls_core::key::TrafficKey;
use ktls_core::offload::Carrier;
use ktls_core::socket::options::{self, TlsOption};
use ktls_core::socket::{DirectionConf, NoPad, UlpInfo};
use ktls_core::stats::Counter;
use rustix::event::PollFlags;
use rustix::net::sockopt::{socket_domain, socket_protocol, socket_type};
use rustix::net::{AddressFamily, SocketType, getpeername, ipproto};

use super::{FdSocket, poll_now};
use crate::NetError;
use crate::mutex::lock;
use crate::queue::ConnRing;
use crate::wait::PEER_DONE;

/// The state that belongs to no direction.
#[derive(Debug, Default)]
pub(super) struct SocketSetup {
    pub(super) attached: bool,
    zerocopy: bool,
}

impl FdSocket {
    /// Attaches the tls ULP, as `setsockopt(IPPROTO_TCP, TCP_ULP, name)` does.
    ///
    /// # Errors
    /// The errors of `docs/kernel-rules.md`, S1.3.
    pub fn attach(&self, name: &[u8]) -> Result<(), NetError> {
        let fd = self.fd.open()?;
        let mut setup = lock(&self.setup);
        check_tcp(&fd)?;
        options::ulp_name(name)?;
        if setup.attached {
            return Err(ktls_core::Error::UlpAttached.into());
        }
        self.check_established(&fd)?;
        setup.attached = true;
        Ok(())
    }

    /// Returns the answer of `getsockopt(IPPROTO_TCP, TCP_ULP)` with room for `len` bytes. It is
    /// empty without the ULP.
    ///
    /// # Errors
    /// EBADF if the socket is closed.
    pub fn ulp(&self, len: usize) -> Result<&'static [u8], NetError> {
        self.fd.number()?;
        let attached = lock(&self.setup).attached;
        Ok(if attached {
            options::ulp_answer(len)
        } else {
            &[]
        })
    }

    /// Sets an option, as `setsockopt(SOL_TLS, optname, value)` does. NULL is an empty `value`.
    ///
    /// # Errors
    /// The errors of `docs/kernel-rules.md`, S1.4. The state is unchanged then.
    pub fn set_option(&self, optname: i32, value: &[u8]) -> Result<(), NetError> {
        let fd = self.fd.open()?;
        let _ring = self.watchers.ring_later();
        let mut setup = lock(&self.setup);
        if !setup.attached {
            return Err(ktls_core::Error::NoUlp.into());
        }
        match TlsOption::new(optname)? {
            TlsOption::Tx => self.set_key(Direction::Tx, value, &fd)?,
            TlsOption::Rx => self.set_key(Direction::Rx, value, &fd)?,
            TlsOption::ZerocopyRo => setup.zerocopy = options::zerocopy(value)?,
            TlsOption::ExpectNoPad => lock(&self.rx).set_no_pad(value)?,
            TlsOption::MaxPayloadLen => self.set_max_payload(value)?,
        }
        Ok(())
    }

    /// Returns the answer of `getsockopt(SOL_TLS, optname)` with room for `len` bytes.
    ///
    /// # Errors
    /// The errors of `docs/kernel-rules.md`, S1.4 and S1.5.
    pub fn option(&self, optname: i32, len: usize) -> Result<Vec<u8>, NetError> {
        self.fd.open()?;
        let setup = lock(&self.setup);
        if !setup.attached {
            return Err(ktls_core::Error::UlpUnsupported.into());
        }
        let answer = match TlsOption::new(optname)? {
            TlsOption::Tx => options::key_answer(self.tx.state().socket.live_info(), len),
            TlsOption::Rx => options::key_answer(lock(&self.rx).live_info(), len),
            TlsOption::ZerocopyRo => options::zerocopy_answer(setup.zerocopy, len),
            TlsOption::ExpectNoPad => lock(&self.rx).no_pad_answer(len),
            TlsOption::MaxPayloadLen => {
                options::payload_limit_answer(self.tx.state().socket.max_payload(), len)
            }
        };
        Ok(answer?)
    }

    /// Returns the information that `sock_diag` has about the socket, or `None` without the ULP.
    ///
    /// # Errors
    /// EBADF if the socket is closed.
    pub fn info(&self) -> Result<Option<UlpInfo>, NetError> {
        self.fd.open()?;
        let setup = lock(&self.setup);
        if !setup.attached {
            return Ok(None);
        }
        let (tx, rx) = (self.tx.installed(), lock(&self.rx).installed());
        let keyed = tx.as_ref().or(rx.as_ref());
        Ok(Some(UlpInfo {
            suite: keyed.map(|key| (key.version(), key.cipher().cipher_type)),
            tx_conf: self.conf(Direction::Tx, tx.as_ref()),
            rx_conf: self.conf(Direction::Rx, rx.as_ref()),
            rx_no_pad: lock(&self.rx).no_pad() == NoPad::On,
            tx_max_payload_len: self.tx.state().socket.max_payload(),
        }))
    }

    /// Installs the first key of a direction, or the next one (K-16 … K-24).
    fn set_key(&self, direction: Direction, value: &[u8], fd: &OwnedFd) -> Result<(), NetError> {
        let (tx, rx) = (self.tx.installed(), lock(&self.rx).installed());
        let (live, other) = match direction {
            Direction::Tx => (tx, rx),
            Direction::Rx => (rx, tx),
        };
        let key = options::traffic_key(value, live.as_ref(), other.as_ref())
            .and_then(|info| TrafficKey::new(info, &PROVIDER));
        let done = match (key, live.is_some()) {
            (Err(error), _) => Err(error.into()),
            (Ok(key), false) => {
                self.install_first(direction, key, fd);
                Ok(())
            }
            (Ok(key), true) => self.install_next(direction, key),
        };
        match done {
            Ok(()) => self.count_done(direction, live.is_some()),
            Err(_) if live.is_some() && options::counts_as_rekey(value) => {
                self.shared.stats.add(rekey_error(direction));
            }
            Err(_) => {}
        }
        done
    }

    /// Installs the first key of a direction.
    fn install_first(&self, direction: Direction, key: TrafficKey, fd: &OwnedFd) {
        let ring = self.offered_ring(fd);
        match direction {
            Direction::Tx => self.tx.install_first(key, ring),
            Direction::Rx => {
                self.install_first_rx(key, ring);
                // It fails on systems without `SO_RCVLOWAT`, where nothing was set either.
                let _no_mark = self.take_low_water(fd, &lock(&self.rx));
                // An error of TCP is older than that of a bad first header, which is checked now.
                self.collect_error(fd);
                self.foresee(fd);
            }
        }
    }

    /// Installs the next key of a direction.
    fn install_next(&self, direction: Direction, key: TrafficKey) -> Result<(), NetError> {
        match direction {
            Direction::Tx => Ok(self.tx.rekey(key)?),
            Direction::Rx => {
                lock(&self.rx).rekey(key)?;
                self.update_device();
                Ok(())
            }
        }
    }

    /// Returns the ring of the connection, or `None` if there is no device that could take a key.
    fn offered_ring(&self, fd: &OwnedFd) -> Option<&Arc<ConnRing>> {
        let shared = self
            .device
            .as_ref()?
            .shared()
            .filter(|shared| !shared.is_down())?;
        if self.ring.get().is_none() {
            // Without a descriptor for the ring, the socket stays in software. `setup` is locked,
            // so no other call sets the ring.
            let _first = self.ring.set(Arc::new(ConnRing::new(shared, fd).ok()?));
        }
        self.ring.get()
    }

    /// Counts a key that was installed, unless the direction has a device, which counts its own.
    pub(super) fn count_done(&self, direction: Direction, again: bool) {
        if self.carrier(direction).is_some() {
            return;
        }
        let stats = &self.shared.stats;
        if again {
            stats.add(rekey_ok(direction));
        } else {
            first_key(direction)
                .iter()
                .for_each(|&counter| stats.add(counter));
        }
    }

    /// Returns what carries a direction, or `None` without a device.
    fn carrier(&self, direction: Direction) -> Option<Carrier> {
        match direction {
            Direction::Tx => self.tx.carrier(),
            Direction::Rx => lock(&self.rx).carrier(),
        }
    }

    /// Returns the configuration of a direction as `sock_diag` reports it.
    fn conf(&self, direction: Direction, key: Option<&CryptoInfo>) -> DirectionConf {
        match self.carrier(direction) {
            Some(Carrier::Device) => DirectionConf::Hw,
            _ => DirectionConf::new(key),
        }
    }

    /// Sets `TLS_TX_MAX_PAYLOAD_LEN`.
    fn set_max_payload(&self, value: &[u8]) -> Result<(), ktls_core::Error> {
        let rx_version = lock(&self.rx).installed().map(|info| info.version());
        self.tx.state().socket.set_max_payload(value, rx_version)
    }

    /// Checks that the connection is established, as far as a descriptor shows that.
    ///
    /// # Errors
    /// ENOTCONN.
    fn check_established(&self, fd: &OwnedFd) -> Result<(), NetError> {
        let closing = PEER_DONE | PollFlags::HUP | PollFlags::ERR;
        let seen = poll_now(fd, PEER_DONE);
        if getpeername(fd).is_err() || seen.intersects(closing) || self.tx.is_shut() {
            return Err(ktls_core::Error::NotEstablished.into());
        }
        Ok(())
    }
}

/// Checks that the socket is a TCP socket, as no other has ULPs.
fn check_tcp(fd: &OwnedFd) -> Result<(), NetError> {
    if socket_domain(fd)? == AddressFamily::UNIX {
        return Err(ktls_core::Error::UlpUnsupported.into());
    }
    let tcp = matches!(socket_protocol(fd)?, Some(ipproto::TCP) | None);
    if socket_type(fd)? != SocketType::STREAM || !tcp {
        return Err(ktls_core::Error::NotTcp.into());
    }
    Ok(())
}

const fn first_key(direction: Direction) -> [Counter; 2] {
    match direction {
        Direction::Tx => [Counter::TlsTxSw, Counter::TlsCurrTxSw],
        Direction::Rx => [Counter::TlsRxSw, Counter::TlsCurrRxSw],
    }
}

const fn rekey_ok(direction: Direction) -> Counter {
    match direction {
        Direction::Tx => Counter::TlsTxRekeyOk,
        Direction::Rx => Counter::TlsRxRekeyOk,
    }
}

const fn rekey_error(direction: Direction) -> Counter {
    match direction {
        Direction::Tx => Counter::TlsTxRekeyError,
        Direction::Rx => Counter::TlsRxRekeyError,
    }
}
