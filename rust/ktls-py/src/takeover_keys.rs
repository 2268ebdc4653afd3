//! Arguments of the methods `from_secrets`: the keys after the handshake of another TLS library.

use ktls_core::wire::TLS12;
use ktls_core::{CryptoInfo, Errno, TrafficSecret};
use ktls_net::TakeoverKeys;
use pyo3::Borrowed;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

use crate::crypto_info::PyCryptoInfo;
use crate::errors::{connection_error, refused};
use crate::memory::check_room;
use crate::traffic_secret::PyTrafficSecret;

/// The key of one direction: a secret of TLS 1.3, or a key of TLS 1.2.
pub(crate) enum TakeoverKey {
    Secret(TrafficSecret),
    Info(CryptoInfo),
}

impl FromPyObject<'_, '_> for TakeoverKey {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, '_, PyAny>) -> PyResult<Self> {
        if let Ok(secret) = object.cast::<PyTrafficSecret>() {
            return Ok(Self::Secret(secret.get().0.clone()));
        }
        match object.cast::<PyCryptoInfo>() {
            Ok(info) => Ok(Self::Info(info.get().0.clone())),
            Err(_) => Err(PyTypeError::new_err(format!(
                "a TrafficSecret or a CryptoInfo is needed, not {}",
                object.get_type()
            ))),
        }
    }
}

/// Puts the keys of both directions together, each with the number of its next record.
///
/// # Errors
/// EINVAL if they cannot be the keys of one connection.
pub(crate) fn takeover_keys(
    (tx, tx_rec_seq): (TakeoverKey, u64),
    (rx, rx_rec_seq): (TakeoverKey, u64),
) -> PyResult<TakeoverKeys> {
    let keys = match (tx, rx) {
        (TakeoverKey::Secret(tx), TakeoverKey::Secret(rx)) => {
            check_same(tx.suite().name, rx.suite().name)?;
            TakeoverKeys::Tls13 {
                tx: (tx, tx_rec_seq),
                rx: (rx, rx_rec_seq),
            }
        }
        (TakeoverKey::Info(tx), TakeoverKey::Info(rx)) => {
            check_same(tx.cipher().name, rx.cipher().name)?;
            if tx.version() != TLS12 || rx.version() != TLS12 {
                let text = "a CryptoInfo is for TLS 1.2 only: TLS 1.3 needs a TrafficSecret for key updates";
                return Err(refused(Errno::Inval, text));
            }
            if (tx_rec_seq, rx_rec_seq) != (0, 0) {
                let text =
                    "tx_rec_seq and rx_rec_seq are for secrets: a CryptoInfo has its own rec_seq";
                return Err(refused(Errno::Inval, text));
            }
            TakeoverKeys::Tls12 { tx, rx }
        }
        _ => {
            let text =
                "tx and rx are of different kinds: pass two TrafficSecrets or two CryptoInfos";
            return Err(refused(Errno::Inval, text));
        }
    };
    let apart = keys.check_apart();
    apart.map_err(|error| connection_error(error.into()))?;
    Ok(keys)
}

/// Checks that there is room for a copy of received bytes in a vector, whose capacity is a power of
/// two.
///
/// # Errors
/// `MemoryError`
pub(crate) fn check_room_for_received(received: &[u8]) -> PyResult<()> {
    const TIMES: usize = 2;
    check_room(received.len().saturating_mul(TIMES))
}

fn check_same(tx: &str, rx: &str) -> PyResult<()> {
    if tx == rx {
        return Ok(());
    }
    Err(refused(
        Errno::Inval,
        format!("tx is of {tx} and rx of {rx}"),
    ))
}
