//! The checks of `setsockopt` and `getsockopt`, in the kernel's order
//! (`docs/kernel-rules.md`, S1.3 to S1.5).

use crate::crypto_info::{CryptoInfo, head};
use crate::error::Error;
use crate::key::TrafficKey;
use crate::socket::NoPad;
use crate::wire::{MAX_PLAINTEXT, TLS13};

/// An option of `SOL_TLS`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TlsOption {
    /// `TLS_TX`
    Tx,
    /// `TLS_RX`
    Rx,
    /// `TLS_TX_ZEROCOPY_RO`
    ZerocopyRo,
    /// `TLS_RX_EXPECT_NO_PAD`
    ExpectNoPad,
    /// `TLS_TX_MAX_PAYLOAD_LEN`
    MaxPayloadLen,
}

impl TlsOption {
    /// Returns the option with this number.
    ///
    /// # Errors
    /// [`Error::UnknownOption`] for any other number than 1 to 5.
    pub const fn new(optname: i32) -> Result<Self, Error> {
        match optname {
            1 => Ok(Self::Tx),
            2 => Ok(Self::Rx),
            3 => Ok(Self::ZerocopyRo),
            4 => Ok(Self::ExpectNoPad),
            5 => Ok(Self::MaxPayloadLen),
            _ => Err(Error::UnknownOption { optname }),
        }
    }
}

/// Checks the name given to `TCP_ULP` on a socket without a ULP.
///
/// # Errors
/// [`Error::NoUlpName`] if `value` is empty; [`Error::UnknownUlp`] for another name than `tls`.
pub fn ulp_name(value: &[u8]) -> Result<(), Error> {
    if value.is_empty() {
        return Err(Error::NoUlpName);
    }
    let name = &value[..value.len().min(ULP_NAME_LEN - 1)];
    match name.split(|&byte| byte == 0).next() {
        Some(b"tls") => Ok(()),
        _ => Err(Error::UnknownUlp),
    }
}

/// Returns the answer of `getsockopt(TCP_ULP)` to a buffer of `len` bytes.
#[must_use]
pub fn ulp_answer(len: usize) -> &'static [u8] {
    &ULP_ANSWER[..len.min(ULP_NAME_LEN)]
}

/// Checks the value of `TLS_TX` or `TLS_RX`, and returns the key in it. `live` is the key of this
/// direction, `other` that of the other direction.
///
/// # Errors
/// - [`Error::BadLength`] if `value` is too short for a version and a cipher.
/// - [`Error::NoRekeyIn12`] if `live` is for TLS 1.2.
/// - [`Error::RekeyMismatch`] if `live` has another version or cipher.
/// - [`Error::DirectionsDiffer`] if only `other` has a key, and it has another version or cipher.
///
/// Also returns the errors of [`CryptoInfo::from_bytes`].
pub fn traffic_key(
    value: &[u8],
    live: Option<&CryptoInfo>,
    other: Option<&CryptoInfo>,
) -> Result<CryptoInfo, Error> {
    let given = head(value)?;
    if let Some(live) = live {
        check_update(live, given)?;
        return CryptoInfo::from_bytes(value);
    }
    let info = CryptoInfo::from_bytes(value)?;
    other.map_or(Ok(()), |other| check_other(other, given))?;
    Ok(info)
}

/// Returns `true` if a refused `setsockopt` of a direction with a key counts as a rekey error: if
/// its value is long enough for a version and a cipher.
#[must_use]
pub const fn counts_as_rekey(value: &[u8]) -> bool {
    value.len() >= HEAD_LEN
}

/// Returns the answer of `getsockopt(TLS_TX)` or `getsockopt(TLS_RX)` to a buffer of `len` bytes.
/// It contains the key, and is not wiped on drop, since it is passed to the caller.
///
/// # Errors
/// - [`Error::BadLength`] if `len` is neither that of version and cipher nor that of the whole
///   value.
/// - [`Error::NoKey`] if the direction has no key.
pub fn key_answer(live: Option<CryptoInfo>, len: usize) -> Result<Vec<u8>, Error> {
    check_min_len("the room for crypto_info", len, HEAD_LEN)?;
    let mut answer = live.ok_or(Error::NoKey)?.to_bytes();
    if len == HEAD_LEN {
        answer.truncate(HEAD_LEN);
        return Ok(std::mem::take(&mut *answer));
    }
    check_exact_len("the room for crypto_info", len, answer.len())?;
    Ok(std::mem::take(&mut *answer))
}

/// Reads the value of `TLS_TX_ZEROCOPY_RO`.
///
/// # Errors
/// [`Error::BadLength`] unless `value` has 4 bytes; [`Error::BadOption`] unless it is 0 or 1.
pub fn zerocopy(value: &[u8]) -> Result<bool, Error> {
    check_exact_len(ZEROCOPY, value.len(), INT_LEN)?;
    read_flag(ZEROCOPY, value)
}

/// Returns the answer of `getsockopt(TLS_TX_ZEROCOPY_RO)` to a buffer of `len` bytes.
///
/// # Errors
/// [`Error::BadLength`] unless `len` is 4.
pub fn zerocopy_answer(on: bool, len: usize) -> Result<Vec<u8>, Error> {
    check_exact_len(ZEROCOPY, len, INT_LEN)?;
    Ok(u32::from(on).to_ne_bytes().to_vec())
}

/// Reads the value of `TLS_RX_EXPECT_NO_PAD`. `rx` is the key of the receiving direction.
///
/// # Errors
/// - [`Error::OptionNotNow`] unless `rx` is a key for TLS 1.3.
/// - [`Error::BadLength`] if `value` has fewer than 4 bytes.
/// - [`Error::BadOption`] unless it is 0 or 1, and all bytes behind it are 0.
pub fn no_pad(value: &[u8], rx: Option<&TrafficKey>) -> Result<NoPad, Error> {
    check_tls13_receiver(rx)?;
    check_min_len(NO_PAD, value.len(), INT_LEN)?;
    let on = read_flag(NO_PAD, value)?;
    if let Some(&byte) = value[INT_LEN..].iter().find(|&&byte| byte != 0) {
        return Err(out_of_range(
            "a byte behind TLS_RX_EXPECT_NO_PAD",
            byte.into(),
            0,
            0,
        ));
    }
    Ok(if on { NoPad::On } else { NoPad::Off })
}

/// Returns the answer of `getsockopt(TLS_RX_EXPECT_NO_PAD)` to a buffer of `len` bytes.
///
/// # Errors
/// [`Error::OptionNotNow`] unless `rx` is a key for TLS 1.3; [`Error::BadLength`] if `len` is less
/// than 4.
pub fn no_pad_answer(no_pad: NoPad, rx: Option<&TrafficKey>, len: usize) -> Result<Vec<u8>, Error> {
    check_tls13_receiver(rx)?;
    check_min_len(NO_PAD, len, INT_LEN)?;
    Ok(u32::from(no_pad == NoPad::On).to_ne_bytes().to_vec())
}

/// Reads the value of `TLS_TX_MAX_PAYLOAD_LEN`. The least is 64 bytes, or 63 in TLS 1.3, because
/// RFC 8449 counts the content type there.
///
/// # Errors
/// [`Error::BadLength`] unless `value` has 2 bytes; [`Error::BadOption`] if it is out of range.
pub fn payload_limit(value: &[u8], version: Option<u16>) -> Result<usize, Error> {
    let &[a, b] = value else {
        return Err(bad_length(MAX_PAYLOAD, value.len(), U16_LEN));
    };
    let limit = u16::from_ne_bytes([a, b]);
    let least = SMALLEST_LIMIT - u32::from(version == Some(TLS13));
    let most = MAX_PLAINTEXT as u32;
    if (least..=most).contains(&limit.into()) {
        return Ok(limit.into());
    }
    Err(out_of_range(MAX_PAYLOAD, limit.into(), least, most))
}

/// Returns the answer of `getsockopt(TLS_TX_MAX_PAYLOAD_LEN)` to a buffer of `len` bytes.
///
/// # Errors
/// [`Error::BadLength`] if `len` is less than 2.
pub fn payload_limit_answer(limit: usize, len: usize) -> Result<Vec<u8>, Error> {
    check_min_len(MAX_PAYLOAD, len, U16_LEN)?;
    // At most 2^14: checked when it was set.
    Ok((limit as u16).to_ne_bytes().to_vec())
}

/// Checks that a key may follow `live` (`docs/kernel-rules.md`, S1.4-3 and S1.4-4). `given` is its
/// version and cipher.
fn check_update(live: &CryptoInfo, given: (u16, u16)) -> Result<(), Error> {
    if live.version() != TLS13 {
        return Err(Error::NoRekeyIn12);
    }
    let installed = (live.version(), live.cipher().cipher_type);
    difference(installed, given).map_or(Ok(()), |(what, installed, given)| {
        Err(Error::RekeyMismatch {
            what,
            installed,
            given,
        })
    })
}

/// Checks a first key against that of the other direction (`docs/kernel-rules.md`, S1.4-6). `given`
/// is its version and cipher.
fn check_other(other: &CryptoInfo, given: (u16, u16)) -> Result<(), Error> {
    let installed = (other.version(), other.cipher().cipher_type);
    difference(installed, given).map_or(Ok(()), |(what, installed, given)| {
        Err(Error::DirectionsDiffer {
            what,
            installed,
            given,
        })
    })
}

/// Returns the first difference between two pairs of version and cipher: its name and both values.
fn difference(a: (u16, u16), b: (u16, u16)) -> Option<(&'static str, u16, u16)> {
    if a.0 != b.0 {
        return Some(("version", a.0, b.0));
    }
    (a.1 != b.1).then_some(("cipher", a.1, b.1))
}

fn check_tls13_receiver(rx: Option<&TrafficKey>) -> Result<(), Error> {
    match rx {
        Some(key) if key.info().version() == TLS13 => Ok(()),
        _ => Err(Error::OptionNotNow { what: NO_PAD }),
    }
}

fn read_flag(what: &'static str, value: &[u8]) -> Result<bool, Error> {
    let &[a, b, c, d, ..] = value else {
        return Err(bad_length(what, value.len(), INT_LEN));
    };
    match u32::from_ne_bytes([a, b, c, d]) {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(out_of_range(what, other, 0, 1)),
    }
}

fn check_exact_len(what: &'static str, len: usize, want: usize) -> Result<(), Error> {
    if len == want {
        Ok(())
    } else {
        Err(bad_length(what, len, want))
    }
}

fn check_min_len(what: &'static str, len: usize, want: usize) -> Result<(), Error> {
    if len >= want {
        Ok(())
    } else {
        Err(bad_length(what, len, want))
    }
}

const fn bad_length(what: &'static str, len: usize, want: usize) -> Error {
    Error::BadLength { what, len, want }
}

const fn out_of_range(what: &'static str, value: u32, least: u32, most: u32) -> Error {
    Error::BadOption {
        what,
        value,
        least,
        most,
    }
}

const ZEROCOPY: &str = "TLS_TX_ZEROCOPY_RO";
const NO_PAD: &str = "TLS_RX_EXPECT_NO_PAD";
const MAX_PAYLOAD: &str = "TLS_TX_MAX_PAYLOAD_LEN";
/// The largest length of the name of a ULP in bytes: `TCP_ULP_NAME_MAX`.
pub const ULP_NAME_LEN: usize = 16;
const ULP_ANSWER: [u8; ULP_NAME_LEN] = *b"tls\0\0\0\0\0\0\0\0\0\0\0\0\0";
/// The length of version and cipher in bytes.
const HEAD_LEN: usize = 4;
/// The length of a C `int` in bytes.
pub const INT_LEN: usize = 4;
/// The length of a C `short` in bytes.
const U16_LEN: usize = 2;
/// The least record size limit in bytes (RFC 8449 §4).
const SMALLEST_LIMIT: u32 = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Errno;
    use crate::wire::TLS12;

    fn info(version: u16, cipher_type: u16) -> CryptoInfo {
        let key_len = if cipher_type == 52 { 32 } else { 16 };
        CryptoInfo::new(version, cipher_type, &[1; 8], &vec![2; key_len], &[3; 4], 7).unwrap()
    }

    #[test]
    fn ulp_names_are_read_as_c_strings() {
        let (unknown, empty) = (Err(Error::UnknownUlp), Err(Error::NoUlpName));
        for (name, want) in [
            (&b"tls"[..], Ok(())),
            (b"tls\0", Ok(())),
            (b"tls\0junk", Ok(())),
            (b"", empty),
            (b"\0tls", unknown),
            (b"TLS", unknown),
            (b"tlsx", unknown),
            (b"t", unknown),
            (b"tlsxxxxxxxxxxxxxxxxxxxxxxxxx", unknown),
        ] {
            assert_eq!(ulp_name(name), want, "{name:?}");
        }
    }

    #[test]
    fn keys_are_checked_in_the_kernels_order() {
        let (gcm13, gcm12) = (info(TLS13, 51), info(TLS12, 51));
        let bytes = gcm13.to_bytes();
        let mut version = bytes.clone();
        version[..2].copy_from_slice(&0x0305_u16.to_ne_bytes());
        for (value, live, other, want) in [
            (&bytes[..], None, None, None),
            (&bytes, Some(&gcm13), None, None),
            (&bytes, Some(&gcm13), Some(&gcm12), None),
            (&bytes[..3], Some(&gcm12), None, Some(Errno::Inval)),
            (&bytes[..4], Some(&gcm12), None, Some(Errno::Busy)),
            (&bytes, Some(&gcm12), None, Some(Errno::Busy)),
            (&bytes[..4], Some(&gcm13), None, Some(Errno::Inval)),
            (&version, None, None, Some(Errno::Inval)),
            (&bytes, None, Some(&gcm12), Some(Errno::Inval)),
        ] {
            let got = traffic_key(value, live, other).err().map(Error::errno);
            assert_eq!(got, want, "{} bytes, {live:?}, {other:?}", value.len());
        }
        let differ = Error::DirectionsDiffer {
            what: "cipher",
            installed: 52,
            given: 51,
        };
        assert_eq!(
            traffic_key(&bytes, None, Some(&info(TLS13, 52))).unwrap_err(),
            differ
        );
        let differ = Error::RekeyMismatch {
            what: "cipher",
            installed: 52,
            given: 51,
        };
        assert_eq!(
            traffic_key(&bytes, Some(&info(TLS13, 52)), None).unwrap_err(),
            differ
        );
    }

    #[test]
    fn the_answer_of_a_key_is_its_head_or_all_of_it() {
        let live = || Some(info(TLS13, 51));
        let whole = info(TLS13, 51).to_bytes();
        for len in 0..64 {
            let want = match len {
                4 => Some(whole[..4].to_vec()),
                40 => Some(whole.to_vec()),
                _ => None,
            };
            assert_eq!(key_answer(live(), len).ok(), want, "{len}");
        }
        assert_eq!(key_answer(None, 4), Err(Error::NoKey));
    }

    #[test]
    fn the_payload_limit_counts_the_inner_type() {
        let set = |limit: u16, version| payload_limit(&limit.to_ne_bytes(), version).ok();
        for (limit, version, want) in [
            (63, Some(TLS13), Some(63)),
            (62, Some(TLS13), None),
            (63, Some(TLS12), None),
            (63, None, None),
            (64, None, Some(64)),
            (16384, Some(TLS13), Some(16384)),
            (16385, Some(TLS13), None),
        ] {
            assert_eq!(set(limit, version), want, "{limit} {version:?}");
        }
        assert!(payload_limit(&[0; 4], None).is_err());
    }
}
